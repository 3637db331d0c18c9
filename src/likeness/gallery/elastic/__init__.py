"""The gallery on Elasticsearch 9 or later: `elasticsearch://host:9200/prefix`, `elasticsearch+https://…` over TLS.

Five kinds of index hold it, their names beginning with the prefix: `meta` (what the gallery is, journals), `people`,
`faces` (vectors and pictures), `notes` and `audit`. docs/elasticsearch.md tells of settings, sizes and security.
"""

from likeness.gallery.elastic.gallery import ElasticGallery, open_elastic

__all__ = ["ElasticGallery", "open_elastic"]

# make demo   sets everything up and shows what Likeness does, on the samples
# make test   sets everything up and checks everything
# make dist, make sbom, make licences: what is released, what is in it, under which licences (docs/releasing.md)
# make docs builds the documentation's site into dist/docs; make docs-serve shows it at http://127.0.0.1:8001
# make tflite adds the environment that writes TensorFlow Lite files; without it the tests of that are skipped
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
STAMP := $(VENV)/.ready
TFLITE := .venv-tflite

.PHONY: setup tflite demo test lint fast bench dist sbom licences docs docs-serve clean
.DELETE_ON_ERROR:

setup: $(STAMP)

# What users install; the demo needs no more.
$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# face_recognition, the benchmark's peer, names a package without wheels; dlib-bin is that package built.
# facenet-pytorch, against which the tests hold our InceptionResnetV1, names old versions of torch.
# torch comes with a torchvision of the same day, without its wish for CUDA (see scripts/dev/torchvision_nms.py).
$(STAMP): $(INSTALLED) scripts/dev/torchvision_nms.py
	$(BIN)/python -m pip install --quiet "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --no-deps "torchvision==0.28.0"
	site=$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))") && \
	  cp scripts/dev/torchvision_nms.py "$$site/_torchvision_nms.py" && \
	  echo "import _torchvision_nms" > "$$site/_torchvision_nms.pth"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	$(BIN)/python -m pip install --quiet --no-deps "face_recognition==1.3.0"
	$(BIN)/python -m pip install --quiet --no-deps "facenet-pytorch==2.6.0"
	touch $@

tflite: $(TFLITE)/.ready

# The converter pins old versions of common packages. They lie in an environment in front of the first one, which lends
# it all the rest, torch above all; nothing in the first is touched.
$(TFLITE)/.ready: $(STAMP)
	$(BIN)/python -m venv --without-pip $(TFLITE)
	base=$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))") && \
	  site=$$($(TFLITE)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))") && \
	  echo "import site; site.addsitedir('$$base')" > "$$site/_likeness_base.pth"
	$(TFLITE)/bin/python -m pip install --quiet --editable ".[tflite]"
	touch $@

demo: $(INSTALLED)
	PATH="$(CURDIR)/$(BIN):$$PATH" sh samples/demo.sh

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# What is quick to know while writing.
fast: setup
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not slow" tests

bench: setup
	cd benchmarks && ../$(BIN)/python pipeline.py --photos 200 --json results/pipeline.json
	cd benchmarks && ../$(BIN)/python search.py --json results/search.json

# Damages files of every kind, for so many seconds each, and keeps what ends in no error of ours in dist/fuzz.
FUZZ_SECONDS ?= 20
FUZZ_FIRST ?= 0
.PHONY: fuzz
fuzz: setup
	$(BIN)/python tests/fuzzing/fuzz_run.py --seconds $(FUZZ_SECONDS) --first $(FUZZ_FIRST)

# The wheel is built from the sdist, as others will.
dist: setup
	rm -rf dist
	$(BIN)/python -m hatchling build -t sdist -d dist
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist dist/likeness-*.tar.gz

# Of an environment that holds what an installation brings and nothing else.
sbom: dist
	rm -rf dist/environment
	$(BIN)/python -m venv --without-pip dist/environment
	$(BIN)/python -m pip --python dist/environment/bin/python install --quiet --no-compile dist/likeness-*.whl
	$(BIN)/python scripts/sbom.py dist/environment/bin/python dist/likeness.cdx.json
	rm -rf dist/environment

licences: setup
	mkdir -p dist
	$(BIN)/python scripts/licences.py --out dist/licences.md

docs: setup
	$(BIN)/python scripts/docs_site.py dist/docs-pages
	$(BIN)/zensical build --clean --strict

# After a change of a page: the first line of `make docs`, by hand; the browser sees it at once.
docs-serve: docs
	$(BIN)/zensical serve --dev-addr 127.0.0.1:8001

clean:
	rm -rf $(VENV) $(TFLITE) demo-out dist .cache

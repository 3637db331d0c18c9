"""Every error that Likeness raises on purpose: what happened, with which value, and what to do next.

```
LikenessError
├── SettingsError            a setting that cannot be used
├── InputError               an argument, or a photo (below), that cannot be used
│   ├── PhotoError           a file that does not become pixels
│   │   ├── PhotoMissing         there is no such file
│   │   ├── PhotoEmpty           it has no bytes
│   │   ├── PhotoTooLarge        more bytes or pixels than allowed
│   │   ├── PhotoUnsupported     not a kind of picture that is read
│   │   ├── PhotoTruncated       it ends too early
│   │   └── PhotoCorrupt         its contents contradict themselves
│   ├── FaceError            pixels that do not give the face asked for
│   │   ├── NoFace
│   │   ├── SeveralFaces
│   │   └── FaceRejected         below the quality gate
│   ├── VideoUnusable        a file that does not become frames, or of frames none serves
│   ├── ConsentMissing       nothing says why a person may be enrolled, and the settings want that said
│   ├── NameMissing          nothing says whom a photo shows
│   ├── ProfileInvalid       not a profile card: no object of plain values
│   ├── ImportRefused        what another program saved, in a form or of a model that is not taken over
│   │   └── PickleRefused        a pickle that holds more than plain data, or is damaged
│   ├── ObjectTooLarge           an object of a storage with more bytes than are taken
│   ├── BodyTooLarge             a request with more bytes than the server takes
│   ├── BodyTooSlow              a request whose bytes did not arrive in time
│   ├── RequestInvalid       a request to the server with a field that cannot be used
│   ├── CallbackRefused      an address to be told that the settings do not allow
│   ├── UrlRefused           the address of a photo that the server does not fetch from
│   ├── DatasetError         a folder that is not the data set it is meant to be
│   │   └── NothingToLearn       all photos that came are known already
│   └── RecipeInvalid        a training recipe with a value that cannot be used
├── NotFound
│   ├── PersonNotFound
│   ├── PictureNotFound
│   ├── GalleryMissing
│   ├── ModelNotFound
│   ├── KeyNotFound              no API key has that id
│   ├── StorageMissing           no such folder, bucket or object where photos are kept
│   │   └── StorageGone          the folder or bucket itself is not there, perhaps for a while only
│   ├── JobNotFound              the server knows no such job
│   ├── ArrivalsOff              the server takes no photos for workers
│   └── RemoteNotFound           a server elsewhere has no such file, repository or version
├── Conflict
│   ├── PersonExists
│   ├── FaceOfAnother            the very same face, enrolled under another person
│   ├── SpaceMismatch            vectors of another embedding space
│   ├── RequestDiffers           an idempotency key that was used for another request
│   └── RunDiffers               a training's folder holds one of another recipe or other data
├── CalibrationError
│   └── RateUnsupported          a false-match rate finer than the calibration can promise
├── ModelError
│   ├── BundleCorrupt            a file whose bytes are not the ones in its manifest
│   ├── WeightsMissing           the package that carries the weights is not installed
│   ├── ExportFailed             a network's file would not give the network's numbers
│   ├── StepRefused              a network that learnt more people forgot more than it may
│   ├── LicenceMissing           a bundle does not say under which terms it may be passed on
│   ├── LicenceForbids           a bundle's licence does not allow what the settings say is done
│   └── ExtraMissing             an optional dependency is not installed
├── StorageError
│   ├── GalleryCorrupt
│   ├── GalleryBusy
│   ├── GalleryUnreachable       the server that keeps it does not answer, or not in time
│   ├── GalleryKeyMissing        it is encrypted, and no key is set
│   ├── GalleryKeyWrong          it is encrypted with another key
│   ├── SealBroken               what is stored encrypted was changed: it does not open
│   ├── SpoolDamaged             a file between two steps of the pipeline is not whole
│   ├── StorageFull
│   ├── StorageUnreachable       nobody answers where photos are kept, or not in time
│   └── StorageRefused           it does not let us in
├── ServiceError             the server cannot do it now; the same request may succeed later
│   ├── Overloaded               too much is waiting already
│   ├── TookTooLong              it was not done within the time limit
│   ├── TooManyRequests          one key or address asked more than its rate limit allows
│   └── ShuttingDown             the server is about to end
├── AccessError              the server does not let this be done
│   ├── KeyMissing               it wants an API key
│   ├── KeyInvalid               the API key is unknown, expired or revoked
│   ├── ScopeMissing             the API key is not good for this
│   └── OriginRefused            a web page of another site asks, or one under a foreign name
└── RemoteError              a server elsewhere did not give what was asked
    ├── Unreachable              no network, or nobody answers
    ├── AccessRefused            it wants to know who asks, or refuses them
    ├── QueueUnavailable         the queue of arrivals does not answer, or refuses
    ├── RecordsUnavailable       the database of arrivals does not answer, or refuses
    ├── DownloadCorrupt          what came is not what was promised
    └── ApiRefused               a Likeness server did not do what the bot asked of it
```

Each class knows its `code` (stable, snake case), the command's `exit_code`, and the `http_status` of the API.
"""

from __future__ import annotations

from likeness.errors.base import (
    LikenessError,
    SettingsError,
)
from likeness.errors.inputs import (
    BodyTooLarge,
    BodyTooSlow,
    CallbackRefused,
    ConsentMissing,
    DatasetError,
    FaceError,
    FaceRejected,
    ImportRefused,
    InputError,
    NameMissing,
    NoFace,
    NothingToLearn,
    ObjectTooLarge,
    PhotoCorrupt,
    PhotoEmpty,
    PhotoError,
    PhotoMissing,
    PhotoTooLarge,
    PhotoTruncated,
    PhotoUnsupported,
    PickleRefused,
    ProfileInvalid,
    RecipeInvalid,
    RequestInvalid,
    SeveralFaces,
    UrlRefused,
    VideoUnusable,
)
from likeness.errors.models import (
    BundleCorrupt,
    CalibrationError,
    ExportFailed,
    ExtraMissing,
    LicenceForbids,
    LicenceMissing,
    ModelError,
    RateUnsupported,
    StepRefused,
    WeightsMissing,
)
from likeness.errors.remote import (
    AccessRefused,
    ApiRefused,
    DownloadCorrupt,
    QueueUnavailable,
    RecordsUnavailable,
    RemoteError,
    Unreachable,
)
from likeness.errors.services import (
    AccessError,
    KeyInvalid,
    KeyMissing,
    OriginRefused,
    Overloaded,
    ScopeMissing,
    ServiceError,
    ShuttingDown,
    TookTooLong,
    TooManyRequests,
)
from likeness.errors.storage import (
    GalleryBusy,
    GalleryCorrupt,
    GalleryKeyMissing,
    GalleryKeyWrong,
    GalleryUnreachable,
    SealBroken,
    SpoolDamaged,
    StorageError,
    StorageFull,
    StorageRefused,
    StorageUnreachable,
)
from likeness.errors.stored import (
    ArrivalsOff,
    Conflict,
    FaceOfAnother,
    GalleryMissing,
    JobNotFound,
    KeyNotFound,
    ModelNotFound,
    NotFound,
    PersonExists,
    PersonNotFound,
    PictureNotFound,
    RemoteNotFound,
    RequestDiffers,
    RunDiffers,
    SpaceMismatch,
    StorageGone,
    StorageMissing,
)

__all__ = [
    "AccessError",
    "AccessRefused",
    "ApiRefused",
    "ArrivalsOff",
    "BodyTooLarge",
    "BodyTooSlow",
    "BundleCorrupt",
    "CalibrationError",
    "CallbackRefused",
    "Conflict",
    "ConsentMissing",
    "DatasetError",
    "DownloadCorrupt",
    "ExportFailed",
    "ExtraMissing",
    "FaceError",
    "FaceOfAnother",
    "FaceRejected",
    "GalleryBusy",
    "GalleryCorrupt",
    "GalleryKeyMissing",
    "GalleryKeyWrong",
    "GalleryMissing",
    "GalleryUnreachable",
    "ImportRefused",
    "InputError",
    "JobNotFound",
    "KeyInvalid",
    "KeyMissing",
    "KeyNotFound",
    "LicenceForbids",
    "LicenceMissing",
    "LikenessError",
    "ModelError",
    "ModelNotFound",
    "NameMissing",
    "NoFace",
    "NotFound",
    "NothingToLearn",
    "ObjectTooLarge",
    "OriginRefused",
    "Overloaded",
    "PersonExists",
    "PersonNotFound",
    "PhotoCorrupt",
    "PhotoEmpty",
    "PhotoError",
    "PhotoMissing",
    "PhotoTooLarge",
    "PhotoTruncated",
    "PhotoUnsupported",
    "PickleRefused",
    "PictureNotFound",
    "ProfileInvalid",
    "QueueUnavailable",
    "RateUnsupported",
    "RecipeInvalid",
    "RecordsUnavailable",
    "RemoteError",
    "RemoteNotFound",
    "RequestDiffers",
    "RequestInvalid",
    "RunDiffers",
    "ScopeMissing",
    "SealBroken",
    "ServiceError",
    "SettingsError",
    "SeveralFaces",
    "ShuttingDown",
    "SpaceMismatch",
    "SpoolDamaged",
    "StepRefused",
    "StorageError",
    "StorageFull",
    "StorageGone",
    "StorageMissing",
    "StorageRefused",
    "StorageUnreachable",
    "TooManyRequests",
    "TookTooLong",
    "Unreachable",
    "UrlRefused",
    "VideoUnusable",
    "WeightsMissing",
]

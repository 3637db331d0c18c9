"""One frozen set of settings: defaults < file < `LIKENESS_…` environment < flags, each value with its origin.

The file is `likeness.toml` in the working folder, or the one that `LIKENESS_CONFIG` names, or `config.toml` in the
user's configuration folder; the first that exists is read.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from platformdirs import user_cache_path, user_config_path, user_data_path
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from likeness.addresses import masked
from likeness.errors import SettingsError

if TYPE_CHECKING:
    from likeness.bundle import Library

PREFIX = "LIKENESS_"
# These name files and test data, not settings.
NOT_SETTINGS = {"LIKENESS_CONFIG", "LIKENESS_DATA", "LIKENESS_SPECS"}

_WORDS = {
    "extra_forbidden": "there is no setting of that name",
    "string_too_short": "the path is empty",
}
"""What is said in place of pydantic's words, by the kind of error."""


Address = Annotated[str, PlainSerializer(masked, return_type=str, when_used="json")]
"""A setting that may hold a password: shown without it. Give such a field `repr=False`."""

DEFAULT_MODELS = {"detector": ("mtcnn",), "embedder": ("dlib-resnet-int8",)}
"""For each setting that names a model: the model unless said, and those to fall back to where its licence forbids."""


class Settings(BaseModel):
    """Everything that can be set; `Settings.load` reads it from where it is set."""

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    gallery: Address = Field(
        default_factory=lambda: str(user_data_path("likeness") / "people.gallery"),
        min_length=1,
        repr=False,
        description="Gallery: a path opens the embedded one (SQLite), postgresql://… or elasticsearch://… a server's.",
    )
    gallery_key_file: str = Field(
        "",
        description="File with the key that encrypts the gallery (`likeness gallery new-key`); nobody but its owner "
        "may read it. A new gallery is encrypted where a key is set, one that is there by `likeness gallery encrypt`.",
    )
    gallery_key: SecretStr = Field(
        SecretStr(""),
        description="The key itself in place of a file: 32 bytes in base64 or hex, best as LIKENESS_GALLERY_KEY from a "
        "store of secrets; never shown.",
    )
    require_consent: bool = Field(
        False,
        description="Refuse to enrol whoever has no consent stated, neither with the photos nor in the gallery.",
    )
    detector: str = Field(
        default_factory=lambda: DEFAULT_MODELS["detector"][0], description="Model bundle that finds faces."
    )
    embedder: str = Field(
        default_factory=lambda: DEFAULT_MODELS["embedder"][0],
        description="Model bundle that turns faces into embeddings.",
    )
    attributes: str = Field(
        "auto",
        min_length=1,
        description="Model bundle that tells apparent age and gender: a name; auto takes the embedder if it tells "
        "them, else a bundle that came with the installation; none tells nothing.",
    )
    licence: Literal["any", "commercial"] = Field(
        "any",
        description="commercial refuses models whose card forbids commercial use or does not document it; where a "
        "model was not named by you, the next default that allows it is taken.",
    )
    fmr: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="False-match rate of the threshold, a comparison. Unset: 0.001 to verify; to identify, "
        "the rate that gives `fpir` in the gallery at hand.",
    )
    fpir: float = Field(
        1e-2,
        gt=0,
        lt=1,
        description="False-positive identification rate: share of strangers that identify may name wrongly.",
    )
    prior: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Probability, before looking, that two faces to verify show one person, "
        "or that a face to identify is of somebody in the gallery.",
    )
    min_face_px: float | None = Field(
        None, ge=12, description="Smallest face looked for, in pixels of the photo; from 12 on."
    )
    photo_side_px: int = Field(2048, ge=256, description="Larger photos are decoded at a reduced size, not below this.")
    max_photo_bytes: int = Field(64 * 1024 * 1024, gt=0, description="Larger files are refused.")
    max_photo_pixels: int = Field(100_000_000, gt=0, description="Larger pictures are refused before decoding.")
    threads: int = Field(0, ge=0, le=256, description="Cores used at once; 0 takes all that the process may use.")
    models: str = Field(
        default_factory=lambda: str(user_data_path("likeness") / "models"),
        description="Folder of your own model bundles.",
    )
    keys: str = Field(
        default_factory=lambda: str(user_data_path("likeness") / "api.keys"),
        min_length=1,
        description="File of the server's API keys (`likeness keys`).",
    )
    cache: str = Field(
        default_factory=lambda: str(user_cache_path("likeness")),
        description="Folder for what can be made again, such as converted models.",
    )
    serve_queue: int = Field(
        128, ge=1, le=100_000, description="Server: photos that may wait to be looked at; more are answered 503."
    )
    serve_photos: int = Field(32, ge=1, le=1000, description="Server: photos in one request.")
    serve_jobs: int = Field(16, ge=1, le=1000, description="Server: long jobs that may wait.")
    serve_workers: bool = Field(
        False, description="Server: take photos for workers (`likeness worker`) as jobs, and show their queues."
    )
    serve_answers: str = Field(
        default_factory=lambda: str(user_data_path("likeness") / "answers.db"),
        min_length=1,
        description="Server: file that keeps the answers given under idempotency keys, for a day.",
    )
    serve_url_hosts: str = Field(
        "",
        description="Server: hosts that photos may be fetched from by their address, separated by commas; "
        "*.example.org allows all below it. Empty, the default, fetches none.",
    )
    serve_url_timeout_s: float = Field(
        10.0, gt=0, le=120, description="Server: time limit for fetching a photo by its address."
    )
    serve_compatible: tuple[Literal["compreface", "deepface"], ...] = Field(
        (), description="Server: also speak as these; `none` is none."
    )
    serve_rate_per_minute: float = Field(
        600.0,
        ge=0,
        le=1e6,
        description="Server: requests a minute from one key, or one address without; 0 is no limit.",
    )
    serve_rate_burst: int = Field(
        100, ge=1, le=1_000_000, description="Server: requests at once that the rate allows after a pause."
    )
    serve_body_bytes: int = Field(
        128 * 1024 * 1024, ge=1024, description="Server: requests of more bytes are refused while they arrive."
    )
    serve_body_s: float = Field(60.0, gt=0, le=3600, description="Server: time limit for a request's arrival.")
    serve_answer_s: float = Field(
        120.0, gt=0, le=3600, description="Server: time limit until an answer begins, from the request's first byte on."
    )

    queue: Address = Field(
        default_factory=lambda: str(user_data_path("likeness") / "queue.db"),
        min_length=1,
        repr=False,
        description="Queue of arrivals: a path opens the embedded one (SQLite); redis://… or sqs://region/prefix "
        "a server's. Passwords in it are not shown.",
    )
    records: Address = Field(
        default_factory=lambda: str(user_data_path("likeness") / "arrivals.db"),
        min_length=1,
        repr=False,
        description="Records of arrivals, jobs and results: a path is an SQLite file, postgresql://… a server's. "
        "Passwords in it are not shown.",
    )
    spool: Address = Field(
        default_factory=lambda: str(user_data_path("likeness") / "spool"),
        min_length=1,
        repr=False,
        description="Where photos sent for the workers, and the faces cut out of photos, lie until they are answered: "
        "a folder, or s3://bucket/prefix where workers run on several machines.",
    )
    storage: Address = Field(
        "",
        repr=False,
        description="Where the pictures that are enrolled are kept as well, as <name_lastname>/….png: a folder, or "
        "s3://bucket/prefix. Empty, the default, keeps them in the gallery alone.",
    )
    watched: str = Field(
        default_factory=lambda: str(user_data_path("likeness") / "watched.db"),
        min_length=1,
        description="File in which `likeness watch` remembers what it has sent.",
    )
    arrivals_keep_days: float = Field(
        30.0, gt=0, le=3660, description="How long answers about photos that arrived are kept, in days."
    )
    arrivals_waiting: int = Field(
        10_000,
        ge=1,
        description="Server: photos that may wait for workers at once; more are refused until some are done.",
    )
    webhook_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts that may be told when photos are answered, separated by commas; a port after a colon where "
        "it is not the usual one. Empty, the default, tells nobody.",
    )
    webhook_secret: SecretStr = Field(
        SecretStr(""), description="Key that signs what is told (HMAC-SHA256), of 16 characters or more; never shown."
    )
    webhook_timeout_s: float = Field(10.0, gt=0, le=120, description="Time limit of telling a caller once.")
    flows_folder: str = Field(
        default_factory=lambda: str(user_data_path("likeness") / "refresh"),
        min_length=1,
        description="Folder that `likeness flow refresh` keeps data, models and memory in.",
    )

    profiles: tuple[Literal["gallery", "wikidata", "ninjas"], ...] = Field(
        (),
        description="Who is asked for profile cards, in order: gallery (what it holds), wikidata, ninjas (API Ninjas); "
        "separated by commas. none, the default, asks nobody: people's names do not leave the machine.",
    )
    profiles_language: str = Field(
        "en", pattern=r"^[a-z]{2,3}(-[a-z0-9]{2,8})*$", description="Language of profile cards, where there are words."
    )
    profiles_keep_days: float = Field(
        30.0, gt=0, le=366, description="How long a looked-up profile card is kept in the cache, in days."
    )
    profiles_timeout_s: float = Field(10.0, gt=0, le=120, description="Time limit of one request for a profile card.")
    wikidata_url: str = Field(
        "https://www.wikidata.org/w/api.php", min_length=1, description="Address of Wikidata's API."
    )
    ninjas_url: str = Field(
        "https://api.api-ninjas.com/v1/celebrity", min_length=1, description="Address of API Ninjas' celebrities."
    )
    ninjas_key: SecretStr = Field(SecretStr(""), description="Your key for API Ninjas; never shown.")

    bot_token: SecretStr = Field(SecretStr(""), description="Bot: its token, from Telegram's BotFather; never shown.")
    bot_api: str = Field("http://127.0.0.1:8000", min_length=1, description="Bot: address of the Likeness API.")
    bot_key: SecretStr = Field(
        SecretStr(""),
        description="Bot: API key for it, where the server wants one; scope admin, so that people can erase what they "
        "enrolled (read: nobody can enrol). Never shown.",
    )
    bot_chats: tuple[Annotated[str, Field(pattern=r"^(any|-?[0-9]{1,20})$")], ...] = Field(
        (),
        description="Bot: numbers of the chats that it answers, separated by commas; any answers everybody who finds "
        "it. none, the default, answers nobody; it tells each chat its number.",
    )
    bot_rate_per_minute: float = Field(
        20.0, ge=0, le=1e4, description="Bot: photos a minute that it looks at for one chat; 0 is no limit."
    )
    bot_photo_bytes: int = Field(
        20_000_000,
        gt=0,
        description="Bot: larger photos are refused before they are fetched. Telegram gives bots no more than 20 MB, "
        "unless they have a Bot API server of their own.",
    )
    bot_state: str = Field(
        default_factory=lambda: str(user_data_path("likeness") / "bot.db"),
        min_length=1,
        description="Bot: file that keeps who enrolled whom, with chats as keyed hashes.",
    )
    bot_secret: SecretStr = Field(
        SecretStr(""),
        description="Bot: key of those hashes; the token unless set. Set it to the old token where that is replaced. "
        "Never shown.",
    )
    bot_telegram: str = Field(
        "https://api.telegram.org", min_length=1, description="Bot: address of Telegram's Bot API, or of your own one."
    )

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @field_validator("profiles", "serve_compatible", "bot_chats", "webhook_hosts", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """From `wikidata, gallery` as it stands in the environment or a file; `none` is nobody, twice is once."""
        if isinstance(value, str):
            names = [name.strip().lower() for name in value.split(",") if name.strip()]
            return tuple(dict.fromkeys(names)) if names != ["none"] else ()
        if isinstance(value, int):
            return (str(value),)
        return [str(each) if isinstance(each, int) else each for each in value] if isinstance(value, list) else value

    @model_validator(mode="after")
    def _fall_back(self) -> Self:
        """Where the licence decides, let models that nobody named be those of the defaults that allow it."""
        if self.licence == "commercial":
            library = self.library()
            for name, choices in DEFAULT_MODELS.items():
                allowed = next((each for each in choices if library.allows(each)), None)
                if name not in self.model_fields_set and allowed is not None:
                    object.__setattr__(self, name, allowed)  # frozen for everybody else
        return self

    @classmethod
    def load(
        cls,
        flags: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        config: str | None = None,
    ) -> Settings:
        """Settings from the file, the environment and `flags` (None values are left out), later ones winning.

        `config` names the file in place of the usual ones.

        Raises:
            SettingsError: a name is unknown or a value cannot be used; the message says where it came from.
        """
        env = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for origin, layer in (*_file_layer(env, config), *_environment_layers(env), ("flag", dict(flags or {}))):
            given = {name: value for name, value in layer.items() if value is not None}
            values |= given
            origins |= dict.fromkeys(given, origin)
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else "settings"
            field = cls.model_fields.get(name)
            secret = field is not None and field.annotation is SecretStr
            shown = "which is not shown" if secret else repr(str(first["input"])[:80])
            raise SettingsError(
                f"setting {name} from {origins.get(name, 'defaults')}, {shown}: "
                f"{_WORDS.get(first['type'], first['msg'])}",
                hint=f"known settings: {', '.join(cls.model_fields)}" if first["type"] == "extra_forbidden" else None,
            ) from None
        settings._origins.update(origins)
        return settings

    def origin(self, name: str) -> str:
        """Where a value came from: `default`, `licence`, a file's path, an environment variable, or `flag`."""
        if name in DEFAULT_MODELS and name not in self.model_fields_set:
            return "default" if getattr(self, name) == DEFAULT_MODELS[name][0] else "licence"
        return self._origins.get(name, "default")

    def library(self, say: Callable[[str], None] = lambda text: None) -> Library:
        """Where model bundles are found; `say` is told before one is made."""
        from likeness.bundle import Library

        return Library(
            (Path(self.models).expanduser(),),
            Path(self.cache).expanduser() / "models",
            say,
            commercial=self.licence == "commercial",
        )


def settings_file(env: Mapping[str, str], config: str | None) -> Path | None:
    """The settings file in use; None where there is none."""
    return next((path for path in _places(env, config) if path.is_file()), None)


def _places(env: Mapping[str, str], config: str | None) -> list[Path]:
    named = config or env.get("LIKENESS_CONFIG")
    return [Path(named)] if named else [Path("likeness.toml"), user_config_path("likeness") / "config.toml"]


def _file_layer(env: Mapping[str, str], config: str | None) -> list[tuple[str, dict[str, Any]]]:
    named = config or env.get("LIKENESS_CONFIG")
    for path in _places(env, config):
        try:
            return [(str(path), tomllib.loads(path.read_text("utf-8")))]
        except FileNotFoundError:
            if named:
                whose = "" if config else ", which LIKENESS_CONFIG names,"
                raise SettingsError(f"the settings file {path}{whose} does not exist") from None
        except (OSError, ValueError, RecursionError) as error:  # of numbers without end, too
            raise SettingsError(f"the settings file {path} cannot be read: {error}") from None
    return []


def _environment_layers(env: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, {name.removeprefix(PREFIX).lower(): value})
        for name, value in sorted(env.items())
        if name.startswith(PREFIX) and name not in NOT_SETTINGS and not name.startswith("LIKENESS_TEST_")
    ]

"""Files that plug-in measures read: local ones, and ones of the Hugging Face hub that were brought beforehand.

Only `fetch` uses the network, and only `tw-corpus prefetch` calls it. A file of the hub lies in the cache of
huggingface_hub, whose folder the environment variable HF_HUB_CACHE names.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from twllm_runs import hash_file
from twllm_types import ConfigError, RunError

_SCHEME = "hf://"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB = re.compile(r"hf://(?P<repository>[\w.-]+/[\w.-]+)/(?P<path>[^@]+?)(@(?P<revision>[^@\s]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """One file of a model repository.

    Attributes:
        repository: `owner/name`.
        path: inside the repository.
        revision: branch, tag or commit; `main` where the location names none.
    """

    repository: str
    path: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One file as it lies on this machine.

    Attributes:
        location: as the recipe names it.
        path: where it lies.
        commit: of the hub, None for a local file.
        num_bytes: its size.
        sha256: of its content.
    """

    location: str
    path: Path
    commit: str | None
    num_bytes: int
    sha256: str


def parse_location(location: str) -> HubFile | None:
    """Read `hf://owner/name/path/in/repository@revision`; None for anything else, which is a local path.

    Raises:
        ConfigError: it begins with hf:// and goes on in another way.
    """
    if not location.startswith(_SCHEME):
        return None
    match = _HUB.fullmatch(location)
    if match is None:
        raise ConfigError(f"{location!r} is no file of the hub; write hf://owner/name/path/in/repository@revision")
    return HubFile(repository=match["repository"], path=match["path"], revision=match["revision"] or "main")


def local_path(location: str, *, cache: Path | None = None) -> Path:
    """Return where a file lies; never asks the network.

    Args:
        location: a local path, or `hf://owner/name/path/in/repository@revision` (without revision: `main`, as it was
            when it was brought). Files of one repository and revision lie in one folder, as in the repository.
        cache: folder for files of the hub; None for that of huggingface_hub.

    Raises:
        ConfigError: no such file here; the message names `tw-corpus prefetch`.
    """
    file = parse_location(location)
    if file is None:
        path = Path(location)
        if not path.is_file():
            raise ConfigError(f"{location}: no such file; check the path")
        return path
    path = _cached(location, file, cache)
    if path is None:
        raise ConfigError(
            f"{location} is not on this machine; run `tw-corpus prefetch` with the recipe where there is network, and "
            "let HF_HUB_CACHE name the folder it wrote"
        )
    return path


def fetch(location: str, *, cache: Path | None) -> None:
    """Bring a file of the hub into the cache; a local path must be there already.

    Args:
        location: as in `local_path`.
        cache: folder; None for that of huggingface_hub.

    Raises:
        ConfigError: there is no such repository, revision or file, or it may not be read.
        RunError: the hub cannot be reached or the disk refuses; the same command continues.
    """
    file = parse_location(location)
    if file is None:
        local_path(location)
        return
    if _COMMIT.fullmatch(file.revision) and _cached(location, file, cache):
        # a commit never changes
        return
    import huggingface_hub
    from huggingface_hub import errors

    # typed in part
    hub: Any = huggingface_hub
    missing = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError)
    try:
        hub.hf_hub_download(file.repository, file.path, revision=file.revision, cache_dir=cache)
    except (*missing, errors.HFValidationError) as error:
        raise _refused(location, error) from error
    # the client raises errors of its own, of the system and of its HTTP library, another one by version
    except Exception as error:
        raise _unreached(location, error) from error


def describe(location: str, *, cache: Path | None = None, on_bytes: Callable[[int], None] | None = None) -> Resource:
    """Say where a file lies, of which commit, and what is in it.

    Raises:
        ConfigError: no such file here.
        DataError: it cannot be read.
    """
    path, file = local_path(location, cache=cache), parse_location(location)
    # the cache keeps a file as <repository>/snapshots/<commit>/<path in the repository>
    commit = None if file is None else path.parts[-len(PurePosixPath(file.path).parts) - 1]
    return Resource(
        location=location,
        path=path,
        commit=commit,
        num_bytes=path.stat().st_size,
        sha256=hash_file(path, on_bytes=on_bytes),
    )


def _cached(location: str, file: HubFile, cache: Path | None) -> Path | None:
    """Look into the cache.

    `hf_hub_download(local_files_only=True)` would do the same, but version 2 asks the hub who is calling even then.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(file.repository, file.path, cache_dir=cache, revision=file.revision)
    except HFValidationError as error:
        raise _refused(location, error) from error
    # else None, or a mark that the hub once said there is no such file
    return Path(found) if isinstance(found, str) else None


def _refused(location: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"{location}: the hub has no such file or does not show it ({type(error).__name__}); "
        "check owner, name, path and revision, and for a gated model your login"
    )


def _unreached(location: str, error: Exception) -> RunError:
    # the client wraps what happened into advice
    cause = error.__cause__ or error
    reason = " ".join(str(cause).split())
    return RunError(
        f"{location} could not be brought ({type(cause).__name__}: {reason}); check network and disk, and run the same "
        "command again"
    )

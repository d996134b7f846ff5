"""Speaking with the Hub: one client, every wait bounded and stoppable, every refusal told in plain words."""

from __future__ import annotations

import email.utils
import re
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from engine.errors import BitternError, DiskFull, HubError, Stopped, explain
from engine.hub.probe import endpoint, reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.jobs.context import CancelToken, JobContext
    from engine.settings import Settings

T = TypeVar("T")
LOOK = 0.1
"""Seconds between two looks at whether a stop was asked for."""
_prepared = threading.Lock()
_bounded: set[float] = set()


def api(settings: Settings, subject: str, otherwise: str) -> Any:
    """The client. Raises ``HubError`` where the Hub does not answer: ``subject`` is what cannot be had then,
    ``otherwise`` the way out."""
    if not reachable(settings, again=True):
        raise HubError(f"The Hub at {endpoint()} does not answer, so {subject}.", otherwise)
    bound(settings)
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint())


def bound(settings: Settings) -> None:
    """Give every request of the Hub's client a limit; its own waits for ever."""
    from huggingface_hub.utils import httpx, set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def factory() -> Any:
        client = default_client_factory()
        client.timeout = httpx.Timeout(settings.hub_stall + 2, connect=10.0)  # whoever waits gives up first, and says more
        return client

    with _prepared:
        if settings.hub_stall not in _bounded:
            _bounded.clear()
            _bounded.add(settings.hub_stall)
            set_client_factory(factory)


def ask(function: Callable[[], T], subject: str, cancel: CancelToken, seconds: float) -> T:
    """What ``function`` answers, waited for on another thread, so that a Hub that is silent holds nobody.

    Raises ``Stopped`` soon after it was asked for; ``HubError`` after ``seconds`` and for every refusal.
    """
    try:
        return _waited(function, cancel, seconds)
    except TimeoutError:
        raise HubError(
            f"The Hub at {endpoint()} was asked about {subject} and has not answered for {seconds:.0f} s.",
            "Try again later. The setting hub_stall says how long to wait.",
        ) from None
    except Stopped:
        raise
    except Exception as error:
        raise explain_hub(error, subject) from error


def ask_patiently(function: Callable[[], T], subject: str, job: JobContext) -> T:
    """:func:`ask` within a job: told to slow down, it waits as long as it was told, and asks again."""
    settings = job.workspace.settings
    left = settings.hub_wait
    while True:
        try:
            return _waited(function, job.token, settings.hub_stall)
        except TimeoutError:
            raise HubError(
                f"The Hub at {endpoint()} was asked about {subject} and has not answered for {settings.hub_stall:.0f} s.",
                "Resume this job later. The setting hub_stall says how long to wait.",
            ) from None
        except (Stopped, BitternError):
            raise
        except Exception as error:
            wait = told_to_wait(error)
            if wait is None or wait > left:
                raise explain_hub(error, subject) from error
            left -= max(wait, 1.0)
            pause(job, wait)


def pause(job: JobContext, seconds: float, done: float = 0, total: float | None = None) -> None:
    """Wait as the Hub asked, saying so every second. Raises ``Stopped``."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        job.progress(done, total, "bytes", f"the Hub asks to slow down: going on in {left:.0f} s")
        job.token.wait(min(left, 1.0))
        job.check()


def told_to_wait(error: BaseException) -> float | None:
    """Seconds that a refusal asks to wait; ``None`` where it is not that kind of refusal."""
    response = getattr(error, "response", None)
    return wait_of(response.status_code, response.headers) if response is not None else None


def wait_of(status: int, headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by ``Retry-After`` (seconds or a date) or the Hub's ``ratelimit`` header; of 429 without either 10."""
    if status not in (429, 503):
        return None
    told = headers.get("retry-after", "").strip()
    if told.isdigit():
        return float(told)
    if told:
        try:
            return max(0.0, email.utils.parsedate_to_datetime(told).timestamp() - time.time())
        except ValueError:
            pass
    if match := re.search(r";\s*t\s*=\s*(\d+)", headers.get("ratelimit", "")):
        return float(match[1])
    return 10.0 if status == 429 else None


def _waited(function: Callable[[], T], cancel: CancelToken, seconds: float) -> T:
    answer: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(function())
        except BaseException as error:
            errors.append(error)

    cancel.check()
    thread = threading.Thread(target=run, name="ask-the-hub", daemon=True)
    thread.start()
    until = time.monotonic() + seconds
    while thread.is_alive():
        thread.join(LOOK)
        cancel.check()
        if time.monotonic() > until and thread.is_alive():
            raise TimeoutError
    if errors:
        raise errors[0]
    return answer[0]


def explain_hub(error: BaseException, subject: str) -> BitternError:
    """What the Hub's refusal means for a person. ``subject`` is the repository, or what was asked."""
    if isinstance(error, BitternError):
        return error
    if isinstance(known := explain(error), DiskFull):
        return known
    if isinstance(error, OSError) and error.filename is not None:
        return BitternError(
            f"{subject}: {error.filename} can't be written: {error.strerror}.", "Look whether somebody removed or locks it, then resume the job."
        )
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status is not None:
        return refusal(int(status), getattr(response, "headers", {}), subject)
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "offline" in said.lower() or type(error).__name__ == "OfflineModeIsEnabled":
        return HubError(f"{subject} can't be had: HF_HUB_OFFLINE is set.", "Unset it, or bring a local folder or a GGUF file.")
    if "Timeout" in type(error).__name__:
        return HubError(f"The Hub is too slow: {subject} did not come in time.", "Resume the job, or try again later.")
    if isinstance(error, (LookupError, TypeError, ValueError, AttributeError)):
        return HubError(
            f"What answers at {endpoint()} does not speak as the Hub does ({subject}: {type(error).__name__} {said}).",
            "Check HF_ENDPOINT, and whether a proxy or a sign-in page of the network stands before it.",
        )
    return HubError(f"The connection to the Hub broke off at {subject}: {said}", "Try again. A job that is resumed goes on where it was.")


def refusal(status: int, headers: Mapping[str, str], subject: str) -> HubError:
    """A status of the Hub in plain words, and the way out."""
    code, page = headers.get("x-error-code", ""), f"{endpoint()}/{subject}"
    signed = _signed_in()
    if code == "GatedRepo" or status == 403:
        if signed:
            return HubError(f"{subject} is gated, and your account has no access to it yet.", f"Ask for access at {page}, then resume.")
        return HubError(f"{subject} is gated.", f"Ask for access at {page}, then sign in with `login` and try again.")
    if status == 401:
        if signed and "invalid" in headers.get("x-error-message", "").lower():
            return HubError(
                "The Hub does not know your token: it is wrong, or was taken back.", "Make a new one in your settings there, then `login`."
            )
        hint = "Check the name." if signed else "Check the name; for a private one sign in first: `login`."
        return HubError(f"The Hub says that {subject} is private or does not exist, or that the token is wrong.", hint)
    if status == 404:
        if code == "RevisionNotFound":
            return HubError(f"{subject} has no such revision.", "Give a branch, a tag or a commit that it has.")
        return HubError(f"The Hub has no {subject} (or no such revision).", "Check the spelling: organisation/name. `find` searches.")
    if status == 429:
        wait = wait_of(status, headers) or 0
        return HubError("The Hub asks to slow down.", f"Try again in {wait:.0f} s. A job that is resumed goes on where it was.")
    if status >= 500:
        return HubError(f"The Hub has trouble of its own ({status}).", "Try again later. A job that is resumed goes on where it was.")
    return HubError(f"The Hub refused {subject} ({status}).", "Check the name and the revision.")


def _signed_in() -> bool:
    from huggingface_hub import get_token

    return bool(get_token())

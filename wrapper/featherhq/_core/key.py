"""The API key of a client: a string, or a callable that returns one.

If Feather refuses a key, the callable is called again.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from featherhq import _forks, _validation
from featherhq._core.effects import AskKey
from featherhq._core.secrets import Redactor, Secret
from featherhq.errors import ConfigurationError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from featherhq._core.effects import Flow

    Ask = Callable[[], object]
    # The result of a callable: a key, or a text that says why there is none, and the error if it raised one.
    Answer = Secret | tuple[str, BaseException | None]


class Key:
    """The key of a client. The client shares it with its views.

    Args:
        source: A callable that returns a key, or a `Secret` that holds a key.

    Attributes:
        redactor: Removes this key and earlier keys from text that is shown.
    """

    def __init__(self, source: Ask | Secret) -> None:
        self.redactor = Redactor()
        self._ask = None if isinstance(source, Secret) else source
        self._current: Secret | None = None
        if isinstance(source, Secret):
            self._use(source)
        self._asked: Future[Answer] | None = None
        self._lock = Lock()
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: a call of the callable goes on in the parent only, so its result never comes here."""
        self._lock, self._asked = Lock(), None

    def get(self, seconds: float, refused: Secret | None = None) -> Flow[Secret | None]:
        """The key for a request.

        The callable runs in the background, so a callable that blocks delays no call past its deadline. If several
        calls need a key at the same time, the callable runs only once.

        Args:
            seconds: How long to wait for the key.
            refused: A key that Feather has refused. Then a different key is needed.

        Returns:
            The key. `None` if the callable does not return in time, or if there is no key except the refused one.

        Raises:
            ConfigurationError: the callable raised an error, or returned a value that is not a valid key.
        """
        current = self._current
        if self._ask is not None and (current is None or current is refused):
            future = yield from AskKey(lambda run: self._once(run, refused), seconds)
            if future is None:
                return None
            current = self._judged(future.result(0))
        if current is None or refused is None or current.reveal() != refused.reveal():
            return current
        return None

    @property
    def name(self) -> str:
        """The name of the callable, for errors."""
        return one_line(str(getattr(self._ask, "__qualname__", type(self._ask).__qualname__)))

    def _once(self, run: Callable[[Ask], Future[object]], refused: Secret | None) -> Future[Answer]:
        """The future result of the callable, which is called now, or was called for another call."""
        # Imported here, because a key that is a string does not need it, and a program starts faster without it.
        from concurrent.futures import Future

        with self._lock:
            if self._asked is not None:
                return self._asked
            answer: Future[Answer] = Future()
            if self._current is not None and self._current is not refused:
                # Another call has replaced the refused key just now.
                answer.set_result(self._current)
                return answer
            self._asked = answer
        assert self._ask is not None  # noqa: S101 - a key that was given as a string is never asked for
        run(self._ask).add_done_callback(lambda given: self._take(given, answer))
        return answer

    def _take(self, given: Future[object], answer: Future[Answer]) -> None:
        try:
            problem = _validation.key_problem(given.result(0))
        except BaseException as error:  # noqa: BLE001 - any error is raised again in the call that needs the key
            result: Answer = (f"raised {one_line(type(error).__name__)}", error)
        else:
            result = (f"returned a value that {problem}", None) if problem else Secret(str(given.result(0)))
        with self._lock:
            if isinstance(result, Secret):
                self._use(result)
            self._asked = None
        answer.set_result(result)

    def _use(self, secret: Secret) -> None:
        self.redactor.add(secret)
        self._current = secret

    def _judged(self, answer: Answer) -> Secret:
        if isinstance(answer, Secret):
            return answer
        problem, cause = answer
        raise ConfigurationError(
            f"api_key: the callable {self.name} {problem}",
            hint="No request was made with this key."
            + (" See the cause above." if cause else " It must return a string of visible ASCII characters."),
        ) from cause

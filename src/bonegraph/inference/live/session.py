"""Session: a live source, an estimator and a watcher, until the source ends or somebody has seen enough."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from bonegraph.inference.live.events import Broken, Event, Mended, Status
from bonegraph.inference.live.watcher import Watcher
from bonegraph.pose.estimator import Person, PoseEstimator
from bonegraph.read.frames import Frame
from bonegraph.read.live import Found, Live, Lost, Shot

STATUS = 5.0
"""Seconds from one `Status` to the next."""


@dataclass(frozen=True, eq=False)
class View:
    """A picture in which people were looked for.

    Attributes:
        picture: as it came.
        time: of it, in seconds.
        people: number and pose of those who are seen.
        texts: by number, what each of them does.
        fps: pictures a second, lately.
    """

    picture: Frame
    time: float
    people: tuple[tuple[int, Person], ...]
    texts: dict[int, str]
    fps: float


@dataclass
class _Pace:
    """What was done since the last `Status`."""

    start: float
    pictures: int = 0
    pose: float = 0.0
    delay: float = 0.0
    answers: int = 0
    model: float = 0.0


class Session:
    """Watch a source.

    Args:
        live: the source.
        estimator: finds people in pictures.
        watcher: made for this estimator.
        tell: hears every event.
        idle: called many times a second while no picture comes, such as to keep a window alive.
        seconds: watch no longer than this; None for as long as the source lasts.

    Attributes:
        pictures: in how many pictures people were looked for.
        time: of the last one, in seconds.
    """

    def __init__(
        self,
        live: Live,
        estimator: PoseEstimator,
        watcher: Watcher,
        tell: Callable[[Event], None],
        *,
        idle: Callable[[], None] = lambda: None,
        seconds: float | None = None,
    ) -> None:
        self._live, self._estimator, self._watcher = live, estimator, watcher
        self._tell, self._idle, self._seconds = tell, idle, seconds
        self.pictures, self.time = 0, 0.0
        self._fps = 0.0
        self._shot: Shot | None = None
        self._asked = 0.0  # when the estimator got it
        self._start = clock.monotonic()
        self._pace = _Pace(self._start)

    def run(self) -> Generator[View, None, None]:
        """The pictures, each after all was told about it; in the end what is left is told.

        Raises:
            ValueError: the source cannot be watched any more, or the checkpoint answers with NaN.
        """
        self._start = clock.monotonic()
        self._pace = _Pace(self._start)
        try:
            for found in self._estimator.people(self._pictures(), self._watcher.fps):
                shot = self._shot
                assert shot is not None  # the estimator answers picture by picture
                self._pace.pose += clock.monotonic() - self._asked
                height, width, _ = shot.picture.shape
                for event in self._watcher.see(shot.time, found, width, height):
                    self._tell(event)
                self.pictures, self.time = self.pictures + 1, shot.time
                yield View(shot.picture, shot.time, self._watcher.seen, self._texts(), self._fps)
                self._pace.pictures += 1
                self._pace.delay += clock.monotonic() - shot.arrived
                self._count()
        finally:
            for event in self._watcher.finish():
                self._tell(event)

    def _pictures(self) -> Iterator[Frame]:
        """What the estimator looks at: the pictures that are needed, as they come."""
        for news in self._live:
            if isinstance(news, Lost):
                self._tell(Broken(self.time, news.why))
            elif isinstance(news, Found):
                self._tell(Mended(self.time))
            elif news is None:
                self._idle()
                self._count()
            elif self._watcher.wants(news.time):
                self._shot, self._asked = news, clock.monotonic()
                yield news.picture
            if self._seconds is not None and self._passed(news) >= self._seconds:
                return

    def _passed(self, news: object) -> float:
        """Seconds that were watched; a source that is away, or silent, has no time of its own."""
        if isinstance(news, Shot):
            return news.time
        return 0.0 if self._live.is_file else clock.monotonic() - self._start

    def _texts(self) -> dict[int, str]:
        """What stands at the heads of those who are seen, by number."""
        texts = {}
        for number, _ in self._watcher.seen:
            told = self._watcher.answer_of(number)
            texts[number] = "..." if told is None else f"{told.action} {told.probability:.0%}"
        return texts

    def _count(self) -> None:
        """Tell how fast it goes, every few seconds."""
        pace, now = self._pace, clock.monotonic()
        took = now - pace.start
        if pace.pictures:
            self._fps = pace.pictures / max(took, 1e-9)
        if took < STATUS:
            return
        answers, seconds = self._watcher.scored
        answers, seconds = answers - pace.answers, seconds - pace.model
        self._tell(
            Status(
                self.time,
                pace.pictures / took,
                1000 * pace.pose / pace.pictures if pace.pictures else None,
                1000 * seconds / answers if answers else None,
                pace.delay / pace.pictures if pace.pictures else None,
                self._live.dropped,
                self._watcher.people,
            )
        )
        self._pace = _Pace(now, answers=self._watcher.scored[0], model=self._watcher.scored[1])

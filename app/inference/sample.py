"""A frontal chest film, drawn: something to send to a service where no film is at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float64]

SIDE: Final = 512
_EXPOSURE: Final = (
    (21, -8, 28, 0, 10, 20, -21, -7),
    (-11, -31, 10, -6, -11, 2, -6, 14),
    (23, 16, -6, -40, 16, -2, 24, -14),
    (-17, -4, 15, 12, 31, -31, 2, -19),
    (10, -13, -28, 2, 13, 33, 10, -4),
    (-11, -11, 17, 50, 15, 21, 7, -9),
    (17, 28, -17, 12, -32, 7, -3, -28),
    (20, 11, 12, 26, -14, -6, -4, -2),
)
"""How unevenly the film is exposed: thousandths of white, of cosines downwards and across.

Found by following the gradient of the distance that the committed checkpoint's gate measures.
"""


class _Film(NamedTuple):
    """Lengths in halves of the picture's side, levels in shares of white.

    Searched by hill climbing on the distance that the committed checkpoint's gate measures.
    """

    abdomen: float = 0.148
    apex: float = 0.32
    arm: float = 0.2
    arm_aside: float = 0.746
    arm_bone: float = 0.102
    aside: float = 0.02
    background: float = 0.0239
    black: float = 0.00987
    blur: float = 1.05
    body: float = 0.883
    cage: float = 0.0906
    clavicle: float = 0.282
    dome: float = 0.501
    down: float = 0.03
    gamma: float = 0.742
    grain: float = 0.0268
    grain_power: float = 1.11
    heart: float = 0.152
    heart_down: float = 0.155
    heart_width: float = 0.322
    hilum: float = 0.113
    hilum_width: float = 0.12
    local: float = 0.267
    local_width: float = 0.06
    lung: float = 0.264
    middle: float = 0.096
    middle_width: float = 0.17
    mottle: float = 0.0187
    mottle_power: float = 0.5
    neck: float = 0.182
    noise: float = 0.012
    pedicle: float = 0.0357
    rib: float = 0.116
    rib_front: float = 0.361
    rib_pitch: float = 0.15
    rib_slope: float = 0.226
    rib_width: float = 0.0152
    ribs_below: float = 0.432
    scapula: float = 0.0833
    shoulder: float = 0.92
    skin: float = 0.04
    spine: float = 0.2
    spine_width: float = 0.104
    tilt: float = 0.01
    tissue: float = 0.355
    vessel: float = 0.077
    vessel_power: float = 0.915
    wall: float = 0.0936
    white: float = 1.0
    wide: float = 0.767
    zoom: float = 1.0


class _Places:
    """Where each place of the picture lies: `x` from the spine, `y` downwards, `out` = |x|."""

    def __init__(self, film: _Film) -> None:
        y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
        self.y = y * film.zoom + film.down
        self.x = x * film.zoom + film.tilt * self.y + film.aside
        self.out = np.abs(self.x)
        self.frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None])

    def texture(self, power: float, seed: int) -> Plane:
        """Noise of mean 0 and deviation 1 whose amplitude falls with `power` of the frequency."""
        frequency = np.where(self.frequency == 0, np.inf, self.frequency)
        noise = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
        made = np.fft.ifft2(np.fft.fft2(noise) / frequency**power).real
        return np.asarray(made / made.std())

    def blurred(self, levels: Plane, width: float) -> Plane:
        """`levels` under a Gaussian of `width`."""
        kept = np.exp(-2 * (np.pi * self.frequency * SIDE * width / 2) ** 2)
        return np.asarray(np.fft.ifft2(np.fft.fft2(levels) * kept).real)


def draw_sample() -> Image.Image:
    """A drawn chest film, mode L, `SIDE` x `SIDE`; the same one each time.

    The committed checkpoint's gate takes it for a film; what class the model finds means nothing.

    Nobody's: body, cage, lungs, heart, ribs and spine are soft shapes under a texture whose power
    falls with frequency, as a radiograph's does (Burgess et al. 2001, Med. Phys. 28, 419).
    """
    film = _Film()
    at = _Places(film)
    half = _half_body(at, film)
    body = _within(at.out - half, 0.015)
    inside, edge = _cage(at, film)
    above = _within(at.y - _diaphragm(at, film), 0.012)
    middle = _middle(at, film)
    lungs = inside * above * (1 - middle)
    levels = film.background + body * (
        0.18 + film.tissue * np.sqrt(np.clip(1 - (at.out / np.maximum(half, 0.1)) ** 2, 0, 1))
    )
    levels += film.abdomen * body * (1 - above) * _within(at.out - 0.80, 0.05)
    levels += film.cage * inside
    levels -= film.lung * lungs * (0.8 + 0.2 * np.clip(1 - np.abs(at.y + 0.1), 0, 1))
    heart = _within(np.hypot((at.x - 0.17) / 0.33, (at.y - 0.25) / 0.32) - 1, 0.05)
    levels += film.heart * heart * above + film.middle * middle * inside
    levels += film.rib * _ribs(at, film, inside, above)
    levels += (
        film.wall
        * _line(at.out - edge - 0.015, 0.022)
        * (at.y > -0.76)
        * body
        * _within(at.y - 0.85, 0.05)
    )
    levels += _spine(at, film) + _shoulders(at, film, body)
    levels += lungs * _vessels(at, film)
    levels += body * film.grain * 0.6 * at.texture(film.grain_power, 9)
    levels += 0.7 * np.random.default_rng(0).normal(0, film.noise, levels.shape)
    levels += body * film.mottle * at.texture(film.mottle_power, 13) * (0.4 + lungs)
    levels += film.skin * body * _line(at.out - half + 0.03, 0.03)
    levels += _arms(at, film)
    return _printed(at, film, levels)


def _within(distance: Plane, softness: float) -> Plane:
    """1 where `distance` is negative, 0 where it is positive, soft between."""
    return np.asarray(1 / (1 + np.exp(np.clip(distance / softness, -40, 40))))


def _line(distance: Plane, width: float) -> Plane:
    """1 where `distance` is 0, falling off over `width`."""
    return np.asarray(np.exp(-((distance / width) ** 2)))


def _half_body(at: _Places, film: _Film) -> Plane:
    round_ = np.clip((at.y + film.shoulder) / 0.35, 0, 1)
    wide = film.neck + (film.body - film.neck) * np.sqrt(1 - (1 - round_) ** 2)
    half = np.where(at.y < -film.shoulder, film.neck, wide)
    return np.asarray(half - 0.05 * np.clip(at.y + 0.2, 0, 1))


def _cage(at: _Places, film: _Film) -> tuple[Plane, Plane]:
    """What lies within the ribs, and how far out they go."""
    down = np.clip((at.y + 0.78) / 1.45, 0, 1)
    edge = film.apex * np.sqrt(np.clip(down / 0.10, 0, 1)) + (film.wide - film.apex) * down**0.6
    edge = np.where(at.y < -0.78, 0, edge)
    return _within(at.out - edge, 0.012), edge


def _diaphragm(at: _Places, film: _Film) -> Plane:
    domes = 1.21 * np.clip(np.abs(at.out - 0.36), 0, 1) ** 2
    return np.asarray(film.dome - 0.06 * (at.x < 0) + domes)


def _middle(at: _Places, film: _Film) -> Plane:
    """The mediastinum, with the heart's outline."""
    vessels = film.middle_width + 0.05 * _line(at.y + 0.35, 0.12) + 0.03 * np.clip(at.y, 0, 1)
    left = film.middle_width + film.heart_width * _line(at.y - film.heart_down, 0.26) * (at.y < 0.9)
    right = 0.17 + 0.10 * _line(at.y - 0.25, 0.22)
    return _within(at.out - np.maximum(vessels, np.where(at.x > 0, left, right)), 0.02)


def _ribs(at: _Places, film: _Film, inside: Plane, above: Plane) -> Plane:
    levels = np.zeros_like(at.x)
    thick = film.rib_width * 2.2
    for number in range(10):
        spine = -0.70 + film.rib_pitch * number
        back = spine + film.rib_slope * at.out + 0.55 * np.clip(at.out - 0.35, 0, 1) ** 2
        off = np.abs(at.y - back) - thick
        rib = 0.55 * _within(off, 0.006) + 0.6 * _line(off, 0.5 * film.rib_width)
        seen = inside * (above + film.ribs_below * (1 - above)) * _within(0.10 - at.out, 0.02)
        levels = np.maximum(levels, rib * seen)
        if number:
            front = _within(np.abs(at.y - spine - 0.50 + 0.55 * at.out) - thick, 0.012)
            levels = levels + film.rib_front * 0.5 * front * inside * _within(0.30 - at.out, 0.08)
    return np.asarray(levels)


def _spine(at: _Places, film: _Film) -> Plane:
    disc = np.cos((at.y + 1) * 2 * np.pi / 0.185)
    column = _within(at.out - film.spine_width * (1 + 0.10 * disc), 0.012) * (0.85 + 0.15 * disc)
    pedicles = _line(at.out - 0.07, 0.02) * _line(np.cos((at.y + 1) * np.pi / 0.185), 0.35)
    return np.asarray(film.spine * column + film.pedicle * pedicles)


def _shoulders(at: _Places, film: _Film, body: Plane) -> Plane:
    """Clavicles and the edges of the scapulae."""
    off = np.abs(at.y + 0.60 + 0.22 * (at.out - 0.12) + 0.25 * (at.out - 0.35) ** 2) - 0.028
    clavicle = 0.6 * _within(off, 0.006) + 0.5 * _line(off, 0.01)
    clavicle = clavicle * _within(at.out - 0.62, 0.015) * _within(0.13 - at.out, 0.02)
    scapula = _line(at.out - 0.60 - 0.10 * (at.y + 0.3), 0.05) * _line(at.y + 0.35, 0.28)
    return np.asarray((film.clavicle * clavicle + film.scapula * scapula) * body)


def _vessels(at: _Places, film: _Film) -> Plane:
    hila = _line(at.out - 0.27, film.hilum_width) * _line(at.y + 0.03, 0.18)
    tree = np.abs(at.texture(film.vessel_power, 5)) - 0.8
    return np.asarray(film.hilum * hila + film.vessel * tree * (0.4 + _line(at.out - 0.25, 0.3)))


def _arms(at: _Places, film: _Film) -> Plane:
    axis = film.arm_aside + 0.10 * np.clip(at.y + 0.4, -0.5, 1)
    flesh = np.sqrt(np.clip(1 - ((at.out - axis) / 0.16) ** 2, 0, 1)) * (at.y > -0.7)
    bone = _within(np.abs(at.out - axis) - 0.04, 0.01) * (at.y > -0.72)
    return np.asarray(film.arm * flesh + film.arm_bone * bone)


def _printed(at: _Places, film: _Film, levels: Plane) -> Image.Image:
    """As a film is processed: local contrast raised, levels spread, a little blur."""
    levels = levels + film.local * (levels - at.blurred(levels, film.local_width))
    shares = np.clip((levels - film.black) / (film.white - film.black), 0, 1) ** film.gamma
    places = (np.arange(SIDE) + 0.5) / SIDE
    waves = np.cos(np.pi * np.arange(len(_EXPOSURE))[:, None] * places)
    shares = np.clip(shares + waves.T @ np.array(_EXPOSURE) @ waves / 1000, 0, 1)
    picture = Image.fromarray((shares * 255).astype(np.uint8))
    return picture.filter(ImageFilter.GaussianBlur(film.blur))

"""Adam as a recipe asks for it: its rate over the run, and its share of it below the head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from training.network.mobilenet import is_below_head

if TYPE_CHECKING:
    from training.recipes.config import FitConfig


class PartedAdam(keras.optimizers.Adam):  # type: ignore[misc]  # keras has no types
    """Adam (Kingma and Ba 2015) that gives each trainable variable a share of the rate.

    `shares` line up with the network's trainable variables.
    """

    def __init__(self, shares: list[float], **settings: Any) -> None:
        super().__init__(**settings)
        self._shares = shares

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one step of one variable."""
        share = self._shares[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * share)


def build_optimizer(network: Any, config: FitConfig, steps: int) -> Any:
    """The optimizer for `network` over epochs of so many `steps`."""
    optimizer = PartedAdam(
        [
            config.backbone_rate if is_below_head(network, variable) else 1.0
            for variable in network.trainable_variables
        ],
        learning_rate=_rate(config, steps),
        weight_decay=config.weight_decay or None,
        use_ema=config.average > 0,
        ema_momentum=config.average or 0.99,
    )
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _rate(config: FitConfig, steps: int) -> Any:
    if config.schedule == "plateau":
        return config.learning_rate
    warmup = round(config.warmup_epochs * steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else config.learning_rate,
        decay_steps=max(config.epochs * steps - warmup, 1),
        alpha=0.01,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )

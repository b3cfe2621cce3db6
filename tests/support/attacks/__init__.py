"""Layers that attack the one who unpacks them, by what each does."""

from tests.support.attacks.attack import Attack, AttackMaker
from tests.support.attacks.links import LINKS
from tests.support.attacks.names import NAMES
from tests.support.attacks.nodes import NODES
from tests.support.attacks.orders import ORDERS

__all__ = ["ATTACKS", "Attack", "AttackMaker"]

ATTACKS: dict[str, AttackMaker] = {**NAMES, **LINKS, **ORDERS, **NODES}

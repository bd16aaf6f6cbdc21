"""Ways round rocks: a grid of where the rover may be, and the shortest way through it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import ConvexHull

from regolith.lunar.physics.world import Shape

CELL_M = 0.1
"""Cell of the grid [m]."""

NEAR_COST = 30.0
"""Cost of a metre of way on which the clearance falls short by a metre, over that of a metre of free way; chosen."""

SIGHT_M = 4.0
"""How far along a way a guide looks for the last place it may go to straight [m]."""

_STEPS = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column]


class Clearance:
    """How far every place of a square is from the footprint of a rock."""

    def __init__(self, taken: np.ndarray) -> None:
        """Take the nodes of a square grid about the origin that are rock, bool, shape [side, side], rows along Y."""
        self._side = len(taken)
        self._distance = np.full(taken.shape, np.inf)
        if taken.any():
            self._distance = np.asarray(ndimage.distance_transform_edt(~taken)) * CELL_M

    @classmethod
    def of_rocks(cls, rocks: Iterable[Shape], *, half: float) -> Clearance:
        """Lay rocks, as convex hulls, over a square about the origin.

        Args:
            rocks: Hulls in the world frame.
            half: Half side of the square [m].
        """
        side = 2 * math.ceil(half / CELL_M) + 1
        taken = np.zeros((side, side), bool)
        for rock in rocks:
            assert rock.points is not None
            _stamp(taken, (rock.points + rock.pose.position)[:, :2])
        return cls(taken)

    def at(self, places: np.ndarray) -> np.ndarray:
        """Distance [m] of places [m], shape [N, 2], to the nearest rock; 0 beyond the square."""
        index = np.rint(np.asarray(places) / CELL_M).astype(int) + self._side // 2
        there = ((index >= 0) & (index < self._side)).all(axis=1)
        safe = np.clip(index, 0, self._side - 1)
        return np.where(there, self._distance[safe[:, 1], safe[:, 0]], 0.0)

    def nodes(self) -> tuple[int, np.ndarray]:
        """Nodes along a side, and the distance of each [m], shape [side, side], rows along Y."""
        return self._side, self._distance

    def clear(self, start: np.ndarray, end: np.ndarray, distance: float) -> bool:
        """Whether a straight way keeps a distance [m] from all rocks."""
        count = max(2, math.ceil(float(np.linalg.norm(end - start)) / (0.5 * CELL_M)))
        return bool((self.at(start + np.linspace(0.0, 1.0, count)[:, None] * (end - start)) >= distance).all())

    def way(self, start: np.ndarray, goal: np.ndarray, distance: float) -> np.ndarray | None:
        """The shortest way that keeps a distance [m] from all rocks, its corners cut; None where there is none.

        A* over the grid's eight neighbours with the octile distance (Hart, Nilsson & Raphael 1968).

        Args:
            start: Place [m], shape [2].
            goal: Place [m], shape [2].
            distance: From the middle of the rover to the footprint of a rock [m].

        Returns:
            Corners [m], shape [N, 2], from `start` to `goal`.
        """
        free = self._distance >= distance
        first, last = (tuple(np.rint(place[::-1] / CELL_M).astype(int) + self._side // 2) for place in (start, goal))
        if not all(0 <= part < self._side for part in (*first, *last)) or not (free[first] and free[last]):
            return None
        nodes = _search(free, first, last)
        if nodes is None:
            return None
        places = (np.array(nodes)[:, ::-1] - self._side // 2) * CELL_M
        return self._cut([start, *places[1:-1], goal], distance)

    def _cut(self, places: list[np.ndarray], distance: float) -> np.ndarray:
        """Leave out every corner past which one sees."""
        kept, index = [places[0]], 0
        while index < len(places) - 1:
            index = max(
                (far for far in range(index + 1, len(places)) if self.clear(places[index], places[far], distance)),
                default=index + 1,
            )
            kept.append(places[index])
        return np.array(kept)


def _stamp(taken: np.ndarray, corners: np.ndarray) -> None:
    """Mark the nodes in the shadow of a hull, and those next to its corners."""
    side = len(taken)
    at = np.rint(corners / CELL_M).astype(int) + side // 2
    low, high = np.clip(at.min(axis=0), 0, side - 1), np.clip(at.max(axis=0), 0, side - 1)
    columns, rows = (np.arange(low[axis], high[axis] + 1) for axis in (0, 1))
    x, y = ((part - side // 2) * CELL_M for part in np.meshgrid(columns, rows))
    sides = ConvexHull(corners).equations
    inside = (sides[:, 0, None, None] * x + sides[:, 1, None, None] * y + sides[:, 2, None, None] <= 0.0).all(axis=0)
    taken[low[1] : high[1] + 1, low[0] : high[0] + 1] |= inside
    there = ((at >= 0) & (at < side)).all(axis=1)
    taken[at[there, 1], at[there, 0]] = True


def _search(free: np.ndarray, first: tuple[int, ...], last: tuple[int, ...]) -> list[tuple[int, ...]] | None:
    """Nodes of the shortest way over free ones; None where there is none."""

    def rest(node: tuple[int, ...]) -> float:
        small, large = sorted((abs(node[0] - last[0]), abs(node[1] - last[1])))
        return large + (math.sqrt(2.0) - 1.0) * small

    cost, before = {first: 0.0}, {first: first}
    queue, done = [(rest(first), first)], set()
    while queue:
        _, node = heapq.heappop(queue)
        if node == last:
            nodes = [node]
            while nodes[-1] != first:
                nodes.append(before[nodes[-1]])
            return nodes[::-1]
        if node in done:
            continue
        done.add(node)
        for row, column in _STEPS:
            to = (node[0] + row, node[1] + column)
            if not (0 <= to[0] < free.shape[0] and 0 <= to[1] < free.shape[1]) or not free[to]:
                continue
            paid = cost[node] + math.hypot(row, column)
            if paid < cost.get(to, math.inf):
                cost[to], before[to] = paid, node
                heapq.heappush(queue, (paid + rest(to), to))
    return None


class Guide:
    """Where to go for one goal, from every place of a square; from those too near a rock too.

    The distances of Dijkstra (1959) over the grid's eight neighbours, a way costing `NEAR_COST` more where it is nearer
    to a rock than it should be: what keeps its distance is `Clearance.way`, and there is always a way out.
    """

    def __init__(self, clearance: Clearance, goal: np.ndarray, distance: float) -> None:
        """Find all ways to a goal.

        Args:
            clearance: Rocks.
            goal: Place [m], shape [2], within the square.
            distance: From the middle of the rover to the footprint of a rock, where there is room [m].
        """
        self._clearance, self._goal, self._wanted = clearance, np.asarray(goal, np.float64), distance
        self._side, self._distance = clearance.nodes()
        cost = 1.0 + NEAR_COST * np.maximum(distance - self._distance, 0.0)
        number = np.arange(self._side**2).reshape(self._side, self._side)
        rows, columns, lengths = [], [], []
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
            here = (slice(0, self._side - down), slice(max(0, -right), self._side - max(0, right)))
            there = (slice(down, self._side), slice(max(0, right), self._side - max(0, -right)))
            rows.append(number[here].ravel())
            columns.append(number[there].ravel())
            lengths.append(0.5 * math.hypot(down, right) * CELL_M * (cost[here] + cost[there]).ravel())
        edges = (np.concatenate(lengths), (np.concatenate(rows), np.concatenate(columns)))
        graph = sparse.csr_matrix(edges, shape=(self._side**2, self._side**2))
        self._last = self._node(self._goal)
        _, self._next = dijkstra(graph, directed=False, indices=self._last, return_predecessors=True)

    def _node(self, place: np.ndarray) -> int:
        column, row = np.clip(np.rint(place / CELL_M).astype(int) + self._side // 2, 0, self._side - 1)
        return int(row) * self._side + int(column)

    def ahead(self, place: np.ndarray, lookahead: float) -> np.ndarray:
        """The point [m] to steer for from a place [m], shape [2]: `lookahead` [m] along the way, its corners cut."""
        nodes = [self._node(place)]
        while nodes[-1] != self._last and len(nodes) * CELL_M < SIGHT_M:
            nodes.append(int(self._next[nodes[-1]]))
        row, column = np.divmod(np.array(nodes), self._side)
        places = (np.column_stack([column, row]) - self._side // 2) * CELL_M
        if nodes[-1] == self._last:
            places[-1] = self._goal
        room = min(self._wanted, float(self._clearance.at(place[None])[0]))
        for there in places[:0:-2]:
            gap = float(np.linalg.norm(there - place))
            if gap > 0.0 and self._clearance.clear(place, there, room):
                if gap >= lookahead or (there == self._goal).all():
                    return place + min(1.0, lookahead / gap) * (there - place)
                break
        return places[min(round(lookahead / CELL_M), len(places) - 1)]

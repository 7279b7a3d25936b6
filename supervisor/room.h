/* SPDX-License-Identifier: ISC */
/*
 * Room on file systems: what goes for `min_free'.  Supervisor only.
 *
 * A channel that finds less free than its `min_free' may have little to remove
 * itself, and another one on the same file system much.  Of all channels whose
 * `min_free' is not kept there, the one goes first that has the oldest finished
 * file, up to the oldest of the next one: what stays covers the same time in
 * all of them.  Each worker removes its own; one that does not is passed over
 * after some seconds.
 */
#ifndef MCRELAY_ROOM_H
#define MCRELAY_ROOM_H

#include <stdbool.h>

#include "common/compiler.h"

struct supervisor;

/* Once a second, then with `second', and when a worker wants room. */
void	room_check(struct supervisor *supervisor, bool second) ATTR_NONNULL;

#endif /* MCRELAY_ROOM_H */

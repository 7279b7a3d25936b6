/* SPDX-License-Identifier: ISC */
/*
 * Comparing a password with a hash, which takes long on purpose: in a thread of
 * its own, one at a time, after everybody else of the host.
 */
#ifndef MCRELAY_HASHER_H
#define MCRELAY_HASHER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

/* In the loop's thread: whether it was the password, and what that took of a
 * processor. */
typedef void	hasher_done(bool same, uint64_t took_ns);

/* Before the sandbox. */
void	hasher_init(struct ev_loop *loop, hasher_done *done) ATTR_NONNULL;
/* In the sandbox, which is that of the thread then. */
void	hasher_start(void);
/* Not before the one before is done.  `hash' stays; `password' is copied. */
void	hasher_compare(const char *hash, const char *password) ATTR_NONNULL;

#endif /* MCRELAY_HASHER_H */

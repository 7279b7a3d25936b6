/* SPDX-License-Identifier: ISC */
/*
 * Input sockets and segments in the keeping of the service manager: they
 * outlive a supervisor that is killed.  Supervisor only.
 *
 * A channel's input is stored as "in.NAME", its second one as "in1.NAME" and
 * so on, what feeds it, if anything does, as "feed.NAME", its segment as
 * "seg.NAME".  The programs that can use segments of a layout are
 * "program.LAYOUT" and "worker.LAYOUT".  What is left of a shared port
 * is "place." and the socket's number.
 */
#ifndef MCRELAY_FDSTORE_H
#define MCRELAY_FDSTORE_H

#include <sys/types.h>

#include "common/compiler.h"
#include "supervisor/inheritance.h"

struct channel;
struct image;
struct supervisor;

/*
 * What the manager has kept and now hands back (LISTEN_FDS), or NULL.  Takes
 * these variables out of the environment.  Descriptors with other names are
 * left alone.
 */
struct inheritance	*fdstore_receive(void);

/* Has the manager keep what the channel has now, in place of what it had. */
void	fdstore_channel(struct channel *channel) ATTR_NONNULL;
void	fdstore_update(struct supervisor *supervisor) ATTR_NONNULL;
/* The manager keeps what is inherited here, which the channel is about to
 * take over or not. */
void	fdstore_inherited(struct channel *channel,
	    const struct inherited *from) ATTR_NONNULL;
/* The channel goes. */
void	fdstore_remove(struct channel *channel) ATTR_NONNULL;
/* Has it keep these programs, in the place of others of that layout. */
void	fdstore_image(const struct image *image) ATTR_NONNULL;
void	fdstore_remove_image(const struct image *image) ATTR_NONNULL;
/* A socket that no channel has any more (fanout.h); it is gone there when this
 * returns. */
void	fdstore_hole(int fd, ino_t identity);
void	fdstore_remove_hole(ino_t identity);
/* What was handed back and nobody has use for. */
void	fdstore_remove_unused(const struct inheritance *inheritance)
	    ATTR_NONNULL;
/* Inputs that were let go do not occupy their addresses any more, once this
 * returns; the manager may need a moment for that. */
void	fdstore_settle(void);

#endif /* MCRELAY_FDSTORE_H */

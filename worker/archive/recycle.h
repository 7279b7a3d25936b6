/* SPDX-License-Identifier: ISC */
/*
 * Files whose time is over, written again (archive.recycle): the disk's blocks
 * and the memory's pages stay, so that nothing is allocated, freed or
 * journalled by a recorder that has found its size.  Worker; the keeper thread
 * keeps them, the archive thread takes them.
 *
 * In the channel's directory, for as long as they wait:
 *	<channel>.spare-<n>	ready; its beginning says that it is none
 *	<channel>.retired	about to become one, or left so by a crash
 *
 * Nobody who has such a file open sees other data in it.  It gets another name
 * first, by which nobody opens it; then a lease (fcntl(2), F_SETLEASE), which
 * the kernel grants only when nobody else has it open or mapped, says whether
 * anybody does.  If so, or if the file has another link, it is only removed.
 * A file server of this host (NFS) that opens files anew for each request is
 * not seen.
 */
#ifndef MCRELAY_RECYCLE_H
#define MCRELAY_RECYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/channel_config.h"
#include "common/compiler.h"

/* Keeper: the finished file's time is over.  It becomes a spare, unless there
 * are `most', or is removed.  0: it is not there any more, *kept: it is a
 * spare; -1 with errno: it is there still. */
int	recycle_retire(int directory, const char *channel, const char *name,
	    unsigned most, bool *kept) ATTR_NONNULL;
/* Keeper: removes what is beyond `most', and what a crash has left. */
void	recycle_bound(int directory, const char *channel, unsigned most)
	    ATTR_NONNULL;
/* Bytes of the disk that spares occupy. */
uint64_t	recycle_bytes(int directory, const char *channel)
		    ATTR_NONNULL;

/* Archive: one of `most' spares becomes name.part, which is opened: its
 * descriptor, or -1: there is none. */
int	recycle_take(int directory, const char *channel, const char *name,
	    unsigned most) ATTR_NONNULL;

#endif /* MCRELAY_RECYCLE_H */

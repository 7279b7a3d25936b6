/* SPDX-License-Identifier: ISC */
/*
 * A channel's archive directory, for as long as the channel lives.  Supervisor
 * only.
 *
 * A descriptor stays with its directory when that is moved, or when another
 * file system is mounted in its place: what is written there is out of sight.
 * So what the path leads to is compared with what is open; a successor of the
 * worker goes on in the directory that is there now.  While there is none, the
 * worker has something instead in which no file can be made: the relay goes on,
 * and what the ring cannot hold is shed and counted.
 */
#ifndef MCRELAY_DIRECTORY_H
#define MCRELAY_DIRECTORY_H

#include "supervisor/parts.h"

struct channel;
struct supervisor;

enum directory_status {
	DIRECTORY_OPEN,
	DIRECTORY_UNMOUNTED,	/* what the archive requires is not mounted */
	DIRECTORY_IN_USE,	/* another process writes there; EBUSY */
	DIRECTORY_ASKED,	/* it has not answered yet: see later; errno */
	DIRECTORY_FAILED,	/* errno */
};

/*
 * Opens it by its path, makes it when it is missing, and locks it; then in
 * place of what `parts' had.  `by' says who has the lock.  Where a file system
 * may never answer, parts->errand asks, and this takes what it has found.
 */
enum directory_status	directory_open(struct parts *parts,
			    const struct channel_conf *conf,
			    const struct privdrop *owner,
			    char by[static 32]);
/*
 * Before parts_open(): `archive' is one that this process, or the image
 * before, has locked already (-1: none).  If it is the one of `conf', what is
 * taken here is another descriptor of the same, with its lock.
 */
void	directory_share(struct parts *parts, int archive,
	    const struct channel_conf *conf) ATTR_NONNULL;
/* Lets go of it: others may write there. */
void	directory_close(struct parts *parts) ATTR_NONNULL;
/* There is none, for this reason. */
void	directory_lose(struct parts *parts, const char *why) ATTR_NONNULL;

/* Once a second, and when the worker misses it. */
void	directory_check(struct channel *channel) ATTR_NONNULL;
/* The worker says that it does. */
void	directory_missed(struct channel *channel) ATTR_NONNULL;

/* Once a second, before the channels: whether something has been mounted or
 * unmounted. */
void	directory_look_at_mounts(struct supervisor *supervisor) ATTR_NONNULL;

#endif /* MCRELAY_DIRECTORY_H */

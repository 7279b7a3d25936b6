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
	DIRECTORY_FOREIGN,	/* it is not the channel's user's; EPERM */
	DIRECTORY_ASKED,	/* it has not answered yet: see later; errno */
	DIRECTORY_FAILED,	/* errno */
};

/* Its path; to be freed. */
char	*directory_path(const struct channel_conf *conf) ATTR_NONNULL;
uint64_t directory_path_hash(const struct channel_conf *conf) ATTR_NONNULL;

/* For whom it is in use, or for whose it is, and what to do then. */
#define DIRECTORY_BY_SIZE	160

/*
 * Opens it by its path, makes it when it is missing, and locks it; then in
 * place of what `parts' had.  What it makes is the channel's user's, if that
 * has it for himself: then the directories above stay root's, and it must be
 * his.  `by' says who has the lock, or whose it is.  Where a file system may
 * never answer, parts->errand asks, and this takes what it has found.
 */
enum directory_status	directory_open(struct parts *parts,
			    const struct channel_conf *conf,
			    char by[static DIRECTORY_BY_SIZE]);
/*
 * Before parts_open(): `archive' is one that this process, or the image
 * before, has locked already (-1: none).  If it is the one of `conf', what is
 * taken here is another descriptor of the same, with its lock.  `by_path' is
 * the hash of the path by which it was opened.
 */
void	directory_share(struct parts *parts, int archive,
	    uint64_t by_path, const struct channel_conf *conf) ATTR_NONNULL;
/* The same with what these parts of ours have, also if it is away. */
void	directory_keep(struct parts *parts, const struct parts *from,
	    const struct channel_conf *conf) ATTR_NONNULL;
/* Lets go of it: others may write there. */
void	directory_close(struct parts *parts) ATTR_NONNULL;
/* There is none, for this reason.  False: nothing has changed, for want of
 * descriptors. */
bool	directory_lose(struct parts *parts, const char *why) ATTR_NONNULL;

/* Once a second: all channels. */
void	directory_second(struct supervisor *supervisor) ATTR_NONNULL;
/* The worker says that it misses it. */
void	directory_missed(struct channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_DIRECTORY_H */

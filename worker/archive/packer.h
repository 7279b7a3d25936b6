/* SPDX-License-Identifier: ISC */
/*
 * Compresses blocks in a thread of its own, while the archive thread gathers
 * the next ones; or, of a crew's archive, at once.  Worker; the archive thread
 * is its only client.
 */
#ifndef MCRELAY_PACKER_H
#define MCRELAY_PACKER_H

#include <pthread.h>
#include <stdbool.h>

#include "common/codec.h"
#include "worker/archive/container.h"

struct archive;

struct packer {
	struct archive	*archive;	/* whose blocks they are */
	pthread_t	 thread;
	pthread_mutex_t	 mutex;
	pthread_cond_t	 changed;
	bool		 stop;
	bool		 busy;
	struct codec	*codec;
	struct block	**block;	/* ARCHIVE_KINDS of them */
};

void	packer_start(struct packer *packer, enum archive_codec codec,
	    struct archive *archive) ATTR_NONNULL;
/* Ends the thread after what it has in hand. */
void	packer_stop(struct packer *packer) ATTR_NONNULL;

/* Compresses blocks that block_detach() has made independent of the ring;
 * they are the packer's until packer_busy() says no.  It must not be busy. */
void	packer_submit(struct packer *packer, struct block **block)
	    ATTR_NONNULL;
bool	packer_busy(struct packer *packer) ATTR_NONNULL;
void	packer_wait(struct packer *packer) ATTR_NONNULL;

#endif /* MCRELAY_PACKER_H */

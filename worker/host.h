/* SPDX-License-Identifier: ISC */
/*
 * A process that several channels share.  Worker.
 *
 * Its first thread takes channels from the supervisor, with descriptors as a
 * process of its own would inherit them, prepares them, and clears away those
 * that have ended; it never touches a datagram.  Relays run in one loop for all
 * of them, or each in a thread with a loop of its own (host_loop.h).  Their
 * archives are the work of two crews (archive/crew.h): one brings what is in
 * rings into files, the other syncs and finishes these and keeps house.  Where
 * they write by io_uring, one more thread gives what they have prepared to the
 * kernel (archive/disk_ring.h).
 *
 *	first thread: attach, recover, start archive --- order ---> loop: begin
 *	first thread: join archive, unmap, close, say so <-- ended -- loop: end
 *
 * What belongs to a channel is touched by one of the two at a time.
 */
#ifndef MCRELAY_WORKER_HOST_H
#define MCRELAY_WORKER_HOST_H

#include "worker/host_loop.h"

/* Until the supervisor sends no more and all channels have ended; returns the
 * exit status. */
int	host_main(const char *name) ATTR_NONNULL;

/* A channel's part of its loop is over, as soon as the callback that it is in
 * has returned. */
void	host_end(struct worker *worker) ATTR_NONNULL;

/* Of host_loop.c: nobody but the first thread has it any more. */
void	host_ended(struct host_channel *channel) ATTR_NONNULL;

#endif /* MCRELAY_WORKER_HOST_H */

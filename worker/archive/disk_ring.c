/* SPDX-License-Identifier: ISC */
/*
 * The io_uring by which a worker writes its files.  Worker, archive thread, or
 * those of all archives and the ring's own.  Must not wait with the mutex held,
 * if it is shared.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "worker/archive/disk_ring.h"
#include "worker/archive/duty.h"
#include "worker/last_words.h"

#ifdef HAVE_URING

#include "worker/archive/disk_ring_priv.h"

/* In the user data: what allocates for the write, what syncs behind it. */
#define RESERVES	((uintptr_t)1)
#define SYNCS		((uintptr_t)2)

bool
disk_ring_works(const struct disk_ring *ring)
{
	return !ring->given_up;
}

void
disk_ring_give_up(struct disk_ring *ring, int error)
{
	if (atomic_exchange(&ring->given_up, true))
		return;
	if (ring->must) {
		last_words("io_uring does not write any more: %s",
		    strerror(error));
		exit(WORKER_EXIT_CONFIG);
	}
	log_warnx("io_uring does not write any more (%s): goes on with system "
	    "calls", strerror(error));
}

static void
take_sync(struct disk_ring *ring, struct disk_sync *sync, int result)
{
	ring->syncs--;
	sync->result = result;
	sync->expected = false;
	/* Before the mutex is released: then its client may end. */
	if (ring->shared && sync->client != NULL)
		duty_post(sync->client);
}

static void
take(struct disk_ring *ring, uint64_t data, int result)
{
	void *what = (void *)(uintptr_t)(data & ~(uint64_t)(RESERVES | SYNCS));
	struct disk_write *write = what;

	ring->expected--;
	if ((data & SYNCS) != 0) {
		take_sync(ring, what, result);
		return;
	}
	write->expected--;
	if ((data & RESERVES) != 0) {
		/* If there is no room, the write tells. */
		write->reserved = result == 0;
		return;
	}
	write->result = result;
	ring->in_flight--;
}

void
disk_ring_take_all(struct disk_ring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;

	io_uring_for_each_cqe(&ring->uring, head, cqe) {
		take(ring, cqe->user_data, cqe->res);
		seen++;
	}
	io_uring_cq_advance(&ring->uring, seen);
	if (seen > 0 && ring->shared)
		pthread_cond_broadcast(&ring->came);
}

void
disk_ring_cannot_wait(int error)
{
	errno = error;
	fatal("waiting for what io_uring writes");
}

/* One completion, at least; not of a shared one. */
static void
take_some(struct disk_ring *ring)
{
	struct io_uring_cqe *cqe;
	int error;

	do
		error = -io_uring_wait_cqe(&ring->uring, &cqe);
	while (error == EINTR || error == EAGAIN);
	if (error != 0)
		disk_ring_cannot_wait(error);
	disk_ring_take_all(ring);
}

/* 0, or an errno: then what the kernel has not taken is never begun. */
static int
submit(struct disk_ring *ring)
{
	bool polled = (ring->uring.flags & IORING_SETUP_SQPOLL) != 0, full;
	int result;

	do {
		result = io_uring_submit(&ring->uring);
		/* What comes back makes room for it. */
		full = (result == -EAGAIN || result == -EBUSY) &&
		    ring->expected > io_uring_sq_ready(&ring->uring);
		if (full && ring->shared) {
			ring->prepared = true;
			return 0;
		}
		if (full)
			take_some(ring);
		else if (result < 0 && result != -EINTR)
			break;
	} while (result < 0 ||
	    (!polled && io_uring_sq_ready(&ring->uring) > 0));
	if (result >= 0)
		return 0;
	if (polled) {
		/* Its thread may have seen it all the same. */
		errno = -result;
		fatal("giving writes to io_uring");
	}
	return -result;
}

/* Of a chain the kernel may have taken the beginning: that is on its way, and
 * comes. */
static void
cancel_rest(struct disk_ring *ring)
{
	const struct io_uring_sq *sq = &ring->uring.sq;
	unsigned left = io_uring_sq_ready(&ring->uring);

	for (; left > 0; left--)
		take(ring, sq->sqes[(sq->sqe_tail - left) &
		    sq->ring_mask].user_data, -ECANCELED);
}

void
disk_ring_submit_all(struct disk_ring *ring)
{
	int error;

	if (!ring->prepared)
		return;
	ring->prepared = false;
	error = submit(ring);
	if (error == 0)
		return;
	cancel_rest(ring);
	pthread_cond_broadcast(&ring->came);
	disk_ring_give_up(ring, error);
}

/* By the caller, or it asks who does. */
static void
begin(struct disk_ring *ring)
{
	if (ring->shared)
		disk_ring_ask(ring);
	else
		disk_ring_submit_all(ring);
}

/* Something has come then, which may be others'. */
static void
wait_for_some(struct disk_ring *ring)
{
	if (ring->shared)
		pthread_cond_wait(&ring->came, &ring->mutex);
	else
		take_some(ring);
}

void
disk_ring_submit(struct disk_ring *ring)
{
	pthread_mutex_lock(&ring->mutex);
	begin(ring);
	pthread_mutex_unlock(&ring->mutex);
}

void
disk_ring_wait(struct disk_ring *ring, const struct disk_write *write)
{
	pthread_mutex_lock(&ring->mutex);
	begin(ring);
	if (!ring->shared)
		disk_ring_take_all(ring);
	while (write->expected > 0)
		wait_for_some(ring);
	pthread_mutex_unlock(&ring->mutex);
}

bool
disk_ring_synced(struct disk_ring *ring, const struct disk_sync *sync,
    bool wait)
{
	bool synced;

	pthread_mutex_lock(&ring->mutex);
	if (!ring->shared)
		disk_ring_take_all(ring);
	while (wait && sync->expected)
		wait_for_some(ring);
	synced = !sync->expected;
	pthread_mutex_unlock(&ring->mutex);
	return synced;
}

int
disk_ring_fd(const struct disk_ring *ring)
{
	return ring == NULL ? -1 : ring->uring.ring_fd;
}

static void
prepare_reserve(struct io_uring_sqe *sqe, const struct disk_write *write)
{
	io_uring_prep_fallocate(sqe, write->fd, FALLOC_FL_KEEP_SIZE,
	    (off_t)write->reserve_at, (off_t)write->reserve_size);
	sqe->user_data = (uintptr_t)write | RESERVES;
	/* The write follows, whatever has become of it. */
	sqe->flags |= IOSQE_IO_HARDLINK;
}

static void
prepare_write(const struct disk_ring *ring, struct io_uring_sqe *sqe,
    const struct disk_write *write)
{
	if (ring->registered)
		io_uring_prep_write_fixed(sqe, write->fd, write->data,
		    (unsigned)write->size, write->at, 0);
	else
		io_uring_prep_write(sqe, write->fd, write->data,
		    (unsigned)write->size, write->at);
	sqe->user_data = (uintptr_t)write;
	/* A thread of the kernel's begins it: who submits would ask the file
	 * first whether it can be written to, which is to ask a server. */
	if (ring->shared)
		sqe->flags |= IOSQE_ASYNC;
	/* The sync follows a write that is whole. */
	if (write->sync != NULL)
		sqe->flags |= IOSQE_IO_LINK;
}

static void
prepare_sync(struct io_uring_sqe *sqe, const struct disk_write *write)
{
	io_uring_prep_fsync(sqe, write->fd, IORING_FSYNC_DATASYNC);
	sqe->user_data = (uintptr_t)write->sync | SYNCS;
	write->sync->expected = true;
}

/* A chain is submitted as one. */
static void
make_way(struct disk_ring *ring)
{
	if (ring->in_flight >= ring->depth)
		disk_ring_take_all(ring);
	while (ring->in_flight >= ring->depth) {
		disk_ring_submit_all(ring);
		if (ring->in_flight >= ring->depth)
			take_some(ring);
	}
	if (io_uring_sq_space_left(&ring->uring) < WRITE_ENTRIES)
		disk_ring_submit_all(ring);
	while (!ring->given_up &&
	    io_uring_sq_space_left(&ring->uring) < WRITE_ENTRIES)
		(void)io_uring_sqring_wait(&ring->uring);
}

/* The queue of a shared one is long enough for all that may be in flight.
 * False: there is none, and what takes its place may hang. */
static bool
has_way(struct disk_ring *ring)
{
	if (ring->in_flight < ring->depth)
		return true;
	disk_ring_ask(ring);
	return false;
}

static void
prepare(struct disk_ring *ring, struct disk_write *write)
{
	struct io_uring *uring = &ring->uring;

	if (ring->syncs >= ring->syncs_max)
		write->sync = NULL;
	write->reserved = true;
	write->expected = 1U + (write->reserve_size > 0);
	ring->in_flight++;
	ring->syncs += write->sync != NULL;
	ring->expected += write->expected + (write->sync != NULL);
	ring->prepared = true;
	if (write->reserve_size > 0)
		prepare_reserve(io_uring_get_sqe(uring), write);
	prepare_write(ring, io_uring_get_sqe(uring), write);
	if (write->sync != NULL)
		prepare_sync(io_uring_get_sqe(uring), write);
}

bool
disk_ring_write(struct disk_ring *ring, struct disk_write *write)
{
	bool room = true;

	pthread_mutex_lock(&ring->mutex);
	if (ring->shared)
		room = has_way(ring);
	else
		make_way(ring);
	if (room && ring->given_up) {
		write->result = -ECANCELED;
		write->sync = NULL;
	} else if (room)
		prepare(ring, write);
	pthread_mutex_unlock(&ring->mutex);
	return room;
}

#endif /* HAVE_URING */

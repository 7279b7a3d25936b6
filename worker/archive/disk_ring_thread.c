/* SPDX-License-Identifier: ISC */
/*
 * The thread of an io_uring by which several channels write: it alone submits
 * what their archives have prepared, and takes what has come.  Worker.  Must
 * not touch a file, nor wait for anything but the ring and who asks.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "common/wake.h"
#include "worker/archive/disk_ring.h"
#include "worker/whose.h"

#ifdef HAVE_URING

#include "worker/archive/disk_ring_priv.h"

/* After so long what the kernel did not take is submitted again, whether or not
 * something has come: it may all be of a disk that does not answer. */
#define AGAIN_MS	10

void
disk_ring_ask(struct disk_ring *ring)
{
	if (!ring->prepared || ring->asked)
		return;
	ring->asked = true;
	wake_post(ring->wake);
}

/* Until something has come, or is to be submitted. */
static void
rest(struct disk_ring *ring)
{
	struct pollfd pollfd[] = {{.fd = ring->wake, .events = POLLIN},
	    {.fd = ring->expected > 0 ? ring->uring.ring_fd : -1,
	    .events = POLLIN}};
	int timeout_ms = ring->prepared ? AGAIN_MS : -1, error = 0;

	pthread_mutex_unlock(&ring->mutex);
	if (poll(pollfd, NITEMS(pollfd), timeout_ms) == -1 && errno != EINTR)
		error = errno;
	if (error == 0 && pollfd[0].revents != 0)
		wake_take(ring->wake);
	pthread_mutex_lock(&ring->mutex);
	if (error != 0)
		disk_ring_cannot_wait(error);
}

static void *
run(void *argument)
{
	struct disk_ring *ring = argument;

	if (ring->enter != NULL)
		ring->enter();
	pthread_mutex_lock(&ring->mutex);
	while (!ring->ending) {
		/* What is prepared from now on asks anew. */
		ring->asked = false;
		disk_ring_submit_all(ring);
		disk_ring_take_all(ring);
		rest(ring);
	}
	pthread_mutex_unlock(&ring->mutex);
	return NULL;
}

void
disk_ring_start(struct disk_ring *ring, void (*enter)(void))
{
	int error;

	if (ring->started || !disk_ring_works(ring))
		return;
	ring->enter = enter;
	ring->wake = wake_open();
	error = ring->wake == -1 ? errno :
	    whose_thread(&ring->thread, run, ring);
	ring->started = error == 0;
	if (error != 0)
		disk_ring_give_up(ring, error);
}

void
disk_ring_end_thread(struct disk_ring *ring)
{
	if (ring->started) {
		pthread_mutex_lock(&ring->mutex);
		ring->ending = true;
		pthread_mutex_unlock(&ring->mutex);
		wake_post(ring->wake);
		pthread_join(ring->thread, NULL);
	}
	if (ring->wake != -1)
		close(ring->wake);
}

#endif /* HAVE_URING */

/* SPDX-License-Identifier: ISC */
/*
 * A worker that has been taken over, for tests of everybody else: it writes
 * garbage all over its channel's segment, also where a worker has no business
 * to, and floods the control socket and the decimator's eventfd, until it is
 * killed.  Started by mcrelayd in place of mcrelay-worker.  Behaves until its
 * first datagram arrives, so that the decimator has trusted its segment.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/message.h"
#include "common/segment.h"
#include "common/util.h"

static uint64_t	random_state;

static uint64_t
random_word(void)
{
	random_state = random_state * 6364136223846793005u +
	    1442695040888963407u;
	return random_state ^ random_state >> 29;
}

/* What hurts most: extremes, and what is nearly right. */
static uint64_t
nasty_word(uint64_t before)
{
	switch (random_word() % 8) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return UINT64_C(1) << random_word() % 64;
	case 3:
		return before + random_word() % 4096;
	case 4:
		return before - random_word() % 4096;
	case 5:
		return before + (UINT64_C(1) << random_word() % 40);
	default:
		return random_word();
	}
}

/* Most of it where the state is: the ring is large, and only data. */
static void
scribble(uint64_t *words, size_t count)
{
	size_t near = MIN_OF(count, (size_t)65536 / sizeof(*words)), at;
	unsigned i;

	for (i = 0; i < 4096; i++) {
		at = random_word() % (i % 4 == 0 ? count : near);
		__atomic_store_n(&words[at], nasty_word(__atomic_load_n(
		    &words[at], __ATOMIC_RELAXED)), __ATOMIC_RELAXED);
	}
}

/* Messages of all sizes and types, some with descriptors. */
static void
flood_messages(void)
{
	static union {
		struct message	message;
		uint8_t			bytes[2 *
					    sizeof(struct message)];
	} packet;
	int fds[4] = {0, 0, 1, 1};
	unsigned i;

	for (i = 0; i < 64; i++) {
		packet.message.type = i % 2 == 0 ? MESSAGE_READY :
		    (uint32_t)random_word() % 16;
		if (i % 8 == 7)
			(void)fd_send(MESSAGE_FD, &packet,
			    sizeof(packet.message), fds, NITEMS(fds));
		else
			(void)send(MESSAGE_FD, &packet, i % 4 == 0 ?
			    random_word() % sizeof(packet) :
			    sizeof(packet.message),
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

/* All descriptors beside the segment that might be an eventfd. */
static void
flood_events(void)
{
	uint64_t much = random_word();
	int fd;

	for (fd = WORKER_FD_OUTPUT; fd < WORKER_FD_OUTPUT + 4; fd++)
		if (write(fd, &much, sizeof(much)) == -1)
			continue;
}

int
main(void)
{
	struct message ready = {.type = MESSAGE_READY};
	struct pollfd input = {.fd = WORKER_FD_INPUT, .events = POLLIN};
	struct stat st;
	uint64_t *words;
	uint64_t turn;

	signal(SIGTERM, SIG_IGN);
	signal(SIGABRT, SIG_IGN);
	random_state = (uint64_t)getpid();
	fd_set_nonblock(MESSAGE_FD);
	if (fstat(WORKER_FD_SEGMENT, &st) == -1)
		return 1;
	words = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
	    MAP_SHARED, WORKER_FD_SEGMENT, 0);
	if (words == MAP_FAILED)
		return 1;
	(void)send(MESSAGE_FD, &ready, sizeof(ready), MSG_NOSIGNAL);
	(void)poll(&input, 1, -1);
	for (turn = 0;; turn++) {
		scribble(words, (size_t)st.st_size / sizeof(*words));
		flood_messages();
		flood_events();
		/* Sealed, so no page may go for good; but it may be empty. */
		if (turn % 1000 == 999)
			(void)fallocate(WORKER_FD_SEGMENT,
			    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    (off_t)(random_word() % 64 * 4096), 8192);
		if (ftruncate(WORKER_FD_SEGMENT, 0) == 0)
			return 2;
	}
}

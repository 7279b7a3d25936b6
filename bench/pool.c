/* SPDX-License-Identifier: ISC */
/*
 * A contender of mcrelay-replay: transfers by a pool of threads, as most
 * programs do it.  A thread takes the transfer that is due first, sleeps until
 * then, reads by pread() what of the file is not in the transfer's 64 KiB,
 * sends what is due by sendmmsg(), and puts it back.  Not installed.
 *
 *     bench/pool THREADS SPEED FILE=ADDRESS:PORT ...
 *
 * Checks nothing: files are mcrelay's, of datagrams, not compressed, and whole.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/avro_walk.h"
#include "common/datum.h"
#include "common/log.h"
#include "common/util.h"
#include "tools/common/endpoint.h"
#include "tools/common/histogram.h"

#define BUFFER_BYTES	(64U << 10)
/* What comes before a payload. */
#define FRONT_MAX	128U
#define BATCH		64

struct transfer {
	int		 fd;
	struct sockaddr_storage to;
	uint8_t		 data[BUFFER_BYTES];
	size_t		 at;		/* in the data */
	size_t		 have;
	uint64_t	 offset;	/* of the file, behind the data */
	uint64_t	 records;	/* left of the block */
	/* the next datagram; size 0: the end */
	size_t		 payload;
	size_t		 size;
	size_t		 whole;		/* of the record */
	int64_t		 time_ns;
};

static struct pool {
	pthread_mutex_t	 lock;
	struct transfer	*transfer;
	size_t		 transfers;
	size_t		*heap;		/* the first is due first */
	size_t		 heaped;
	double		 speed;
	int64_t		 first_ns;
	uint64_t	 start_ns;
	struct histogram lateness;
	uint64_t	 sent;
	uint64_t	 bytes;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t
due_ns(const struct transfer *transfer)
{
	return pool.speed <= 0 ? 0 : pool.start_ns + (uint64_t)((double)(
	    transfer->time_ns - pool.first_ns) / pool.speed);
}

/* Has so many bytes there, if the file has. */
static void
need(struct transfer *transfer, size_t size)
{
	ssize_t got;

	if (transfer->have - transfer->at >= size)
		return;
	memmove(transfer->data, transfer->data + transfer->at,
	    transfer->have - transfer->at);
	transfer->have -= transfer->at;
	transfer->at = 0;
	got = pread(transfer->fd, transfer->data + transfer->have,
	    sizeof(transfer->data) - transfer->have,
	    (off_t)transfer->offset);
	if (got == -1)
		fatal("pread");
	transfer->have += (size_t)got;
	transfer->offset += (uint64_t)got;
}

static int64_t
get_long(const uint8_t **at, const struct transfer *transfer)
{
	int64_t value = 0;

	(void)datum_get_long(at, transfer->data + transfer->have, &value);
	return value;
}

/* Finds the next datagram. */
static void
next(struct transfer *transfer)
{
	const uint8_t *at;

	transfer->at += transfer->whole;
	transfer->size = transfer->whole = 0;
	need(transfer, FRONT_MAX);
	if (transfer->have - transfer->at <= AVRO_SYNC_SIZE)
		return;
	at = transfer->data + transfer->at;
	if (transfer->records == 0) {
		/* A marker before each head: the header's is the first. */
		at += AVRO_SYNC_SIZE;
		transfer->records = (uint64_t)get_long(&at, transfer);
		(void)get_long(&at, transfer);
		transfer->at = (size_t)(at - transfer->data);
		need(transfer, FRONT_MAX);
		at = transfer->data + transfer->at;
	}
	transfer->records--;
	transfer->time_ns = get_long(&at, transfer) * 1000;
	transfer->time_ns += get_long(&at, transfer);
	(void)get_long(&at, transfer);
	at += get_long(&at, transfer);
	transfer->size = (size_t)get_long(&at, transfer);
	transfer->payload = (size_t)(at - transfer->data) - transfer->at;
	transfer->whole = transfer->payload + transfer->size;
	need(transfer, transfer->whole);
}

static bool
before(size_t a, size_t b)
{
	return pool.transfer[pool.heap[a]].time_ns <
	    pool.transfer[pool.heap[b]].time_ns;
}

static void
swap(size_t a, size_t b)
{
	const size_t number = pool.heap[a];

	pool.heap[a] = pool.heap[b];
	pool.heap[b] = number;
}

static void
put(size_t number)
{
	size_t at = pool.heaped++;

	pool.heap[at] = number;
	for (; at > 0 && before(at, (at - 1) / 2); at = (at - 1) / 2)
		swap(at, (at - 1) / 2);
}

static size_t
take(void)
{
	const size_t number = pool.heap[0];
	size_t at = 0, child;

	swap(0, --pool.heaped);
	while ((child = 2 * at + 1) < pool.heaped) {
		if (child + 1 < pool.heaped && before(child + 1, child))
			child++;
		if (!before(child, at))
			break;
		swap(at, child);
		at = child;
	}
	return number;
}

struct thread {
	int		 fd;
	struct histogram lateness;
	uint64_t	 sent;
	uint64_t	 bytes;
	struct mmsghdr	 header[BATCH];
	struct iovec	 iov[BATCH];
};

static void
hand_over(struct thread *thread, unsigned n)
{
	unsigned done = 0;
	int rc;

	while (done < n) {
		rc = sendmmsg(thread->fd, thread->header + done, n - done, 0);
		if (rc == -1)
			fatal("sendmmsg");
		done += (unsigned)rc;
	}
}

/* Sends what is due and there, of which each datagram stays where it is. */
static void
serve(struct thread *thread, struct transfer *transfer)
{
	const uint64_t now = clock_monotonic_ns();
	unsigned n = 0;
	size_t end;

	do {
		if (pool.speed > 0)
			histogram_add(&thread->lateness, now -
			    due_ns(transfer));
		thread->iov[n] = (struct iovec){
			.iov_base = transfer->data + transfer->at +
			    transfer->payload,
			.iov_len = transfer->size,
		};
		n++;
		thread->header[n - 1].msg_hdr = (struct msghdr){
			.msg_name = &transfer->to,
			.msg_namelen = sockaddr_size((const void *)
			    &transfer->to),
			.msg_iov = &thread->iov[n - 1],
			.msg_iovlen = 1,
		};
		thread->sent++;
		thread->bytes += transfer->size;
		end = transfer->at + transfer->whole;
		if (n == BATCH || transfer->have - end < 2 * FRONT_MAX +
		    transfer->whole) {
			hand_over(thread, n);
			n = 0;
		}
		next(transfer);
	} while (transfer->size != 0 && due_ns(transfer) <= now && n != 0);
	hand_over(thread, n);
}

static void
sleep_until(uint64_t ns)
{
	const struct timespec until = {
		.tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S),
	};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void *
run(void *argument)
{
	struct thread *thread = argument;
	struct transfer *transfer;
	size_t number;

	pthread_mutex_lock(&pool.lock);
	while (pool.heaped > 0) {
		number = take();
		pthread_mutex_unlock(&pool.lock);
		transfer = &pool.transfer[number];
		if (pool.speed > 0 && due_ns(transfer) > clock_monotonic_ns())
			sleep_until(due_ns(transfer));
		serve(thread, transfer);
		pthread_mutex_lock(&pool.lock);
		if (transfer->size != 0)
			put(number);
	}
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		pool.lateness.bucket[i] += thread->lateness.bucket[i];
	pool.lateness.count += thread->lateness.count;
	pool.lateness.max = MAX_OF(pool.lateness.max, thread->lateness.max);
	pool.sent += thread->sent;
	pool.bytes += thread->bytes;
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

static void
begin(struct transfer *transfer, char *text)
{
	char *equals = strrchr(text, '=');
	struct avro_walk walk;

	if (equals == NULL || !endpoint_parse(equals + 1, &transfer->to))
		fatalx("%s: not FILE=ADDRESS:PORT", text);
	*equals = '\0';
	transfer->fd = open(text, O_RDONLY | O_CLOEXEC);
	if (transfer->fd == -1)
		fatal("%s", text);
	if (avro_walk_open(&walk, transfer->fd) != AVRO_WALK_OK)
		fatalx("%s: %s", text, walk.why);
	transfer->offset = walk.header_size - AVRO_SYNC_SIZE;
	avro_walk_close(&walk);
	next(transfer);
}

static void
begin_all(size_t count, char **texts)
{
	pool.transfers = count;
	pool.transfer = xcalloc(count, sizeof(*pool.transfer));
	pool.heap = xcalloc(count, sizeof(*pool.heap));
	for (size_t i = 0; i < count; i++) {
		begin(&pool.transfer[i], texts[i]);
		put(i);
	}
	pool.first_ns = pool.transfer[pool.heap[0]].time_ns;
}

static void
serve_all(size_t threads)
{
	pthread_t *thread = xcalloc(threads, sizeof(*thread));
	struct thread *state = xcalloc(threads, sizeof(*state));

	pool.start_ns = clock_monotonic_ns();
	for (size_t i = 0; i < threads; i++) {
		state[i].fd = socket(pool.transfer[0].to.ss_family,
		    SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (state[i].fd == -1 || pthread_create(&thread[i], NULL, run,
		    &state[i]) != 0)
			fatal("cannot start a thread");
	}
	for (size_t i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
}

int
main(int argc, char **argv)
{
	struct rlimit limit;
	double elapsed;

	log_init("pool", NULL, LOG_TARGET_STDERR, LOG_INFO);
	if (argc < 4)
		fatalx("THREADS SPEED FILE=ADDRESS:PORT ...");
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	pool.speed = strtod(argv[2], NULL);
	begin_all((size_t)argc - 3, argv + 3);
	serve_all((size_t)strtoul(argv[1], NULL, 10));
	elapsed = (double)(clock_monotonic_ns() - pool.start_ns) / 1e9;
	printf("{\"sent\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"elapsed_s\": "
	    "%.6f, \"lateness_us\": {\"p50\": %.1f, \"p99\": %.1f, "
	    "\"p99.9\": %.1f, \"max\": %.1f}}\n", pool.sent, pool.bytes,
	    elapsed, (double)histogram_percentile(&pool.lateness, .5) / 1e3,
	    (double)histogram_percentile(&pool.lateness, .99) / 1e3,
	    (double)histogram_percentile(&pool.lateness, .999) / 1e3,
	    (double)pool.lateness.max / 1e3);
	return 0;
}

/* SPDX-License-Identifier: ISC */
/*
 * A worker that receives by AF_XDP, killed after every single instruction.
 *
 * The kernel's part of the rings is played here, so that it can be asked: with
 * each instruction it must have such frames only as nobody will read any more,
 * and each frame must be in one place.  Datagrams come while the worker is
 * single-stepped.  After each instruction a successor takes over on copies of
 * segment and rings, and must come out with every datagram in order, once, and
 * give all frames back.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/inputs.h"
#include "common/log.h"
#include "common/util.h"
#include "common/xdp_rings.h"
#include "tests/unit/single_step.h"
#include "worker/ingest.h"
#include "worker/ingest_xdp.h"
#include "worker/relay.h"

#define RING_SIZE	(UINT64_C(1) << 20)
#define FRAMES		XDP_FRAMES_MIN
#define MASK		(FRAMES - 1)
#define MEMORY		((size_t)FRAMES * XDP_FRAME_SIZE)
#define HEADROOM	256U
#define COOKIE		77U
/* So many were committed before: the kernel's counters pass zero, and the rings
 * their ends. */
#define BEFORE		((UINT64_C(1) << 32) - 5)
#define DATAGRAMS	12U
#define WRONG		5U	/* every so many its checksum is */
#define ALIKE		3U	/* so many may become a run */
#define MACS		12U	/* what is before a tag */
/* What may pass from one clock to the other, step by step. */
#define CLOCKS_NS	(60 * NS_PER_S)
/* What comes first, and then one after so many instructions. */
#define AT_ONCE		3U
#define COMES_EACH	157U

/* Shared with the child; a successor has a copy. */
struct rings {
	_Atomic uint32_t	fill_producer;
	_Atomic uint32_t	receive_producer;
	_Atomic uint32_t	receive_consumer;
	uint64_t		fill[FRAMES];
	struct xdp_desc		receive[FRAMES];
};

struct player {
	struct segment		segment;
	struct rings		*rings;
	struct ingest		ingest;
	struct ingest_frames	*frames;
	struct relay		relay;
};

static struct player	worker, successor;
static uint8_t		*memory;
static int		memory_fd, socket_fd, beside_fd;
/* Of the kernel alone. */
static uint32_t		fill_consumer;
static unsigned		sent;
static unsigned		largest_run;
/* When the monotonic clock was 0: all datagrams came soon after. */
static uint64_t		begun_realtime_ns;
/* Whose rings are mapped. */
static struct rings	*mapped;

/*** In place of common/xdp_rings.c. ***/

int
xdp_rings_map(struct xdp_rings *rings, int socket, uint32_t frames)
{
	assert_int_equal(socket, socket_fd);
	assert_int_equal(frames, FRAMES);
	*rings = (struct xdp_rings){.frames = FRAMES,
	    .fill_producer = &mapped->fill_producer, .fill = mapped->fill,
	    .receive_producer = &mapped->receive_producer,
	    .receive_consumer = &mapped->receive_consumer,
	    .receive = mapped->receive};
	return 0;
}

void
xdp_rings_unmap(struct xdp_rings *rings)
{
	memset(rings, 0, sizeof(*rings));
}

/*** The kernel's part. ***/

static uint32_t
size_of(unsigned datagram)
{
	return 1 + datagram / ALIKE * 13 % 100;
}

/* Without a checksum, or with one that is wrong; some with a VLAN's tag. */
static uint32_t
put_frame(uint8_t *at, unsigned datagram)
{
	uint32_t size = size_of(datagram);
	const uint8_t header[42] = {[12] = 8, [14] = 0x45,
	    [17] = (uint8_t)(28 + size), [22] = 64, [23] = IPPROTO_UDP,
	    [26] = 10, [29] = 1, [35] = (uint8_t)(datagram / ALIKE),
	    [39] = (uint8_t)(8 + size), [41] = datagram % WRONG == WRONG - 1};
	const uint8_t tag[4] = {0x81, 0, 0, 7};
	uint32_t tagged = datagram / ALIKE % 2 * (uint32_t)sizeof(tag);

	memcpy(at, header, MACS);
	memcpy(at + MACS, tag, tagged);
	memcpy(at + MACS + tagged, header + MACS, sizeof(header) - MACS);
	memset(at + tagged + sizeof(header), (int)datagram, size);
	return (uint32_t)sizeof(header) + tagged + size;
}

/* The program has seen it, a microsecond after the one before. */
static void
put_stamp(uint8_t *at, unsigned datagram)
{
	const struct xdp_stamp stamp = {
	    .seen_ns = (datagram + 1) * NS_PER_US};

	memcpy(at - sizeof(stamp), &stamp, sizeof(stamp));
}

/* A datagram comes, if there is a frame for it. */
static void
one_comes(struct rings *rings)
{
	uint32_t at = atomic_load(&rings->receive_producer);
	uint64_t frame;

	if (sent == DATAGRAMS ||
	    fill_consumer == atomic_load(&rings->fill_producer))
		return;
	frame = rings->fill[fill_consumer++ & MASK] &
	    ~(uint64_t)(XDP_FRAME_SIZE - 1);
	assert_true(frame < MEMORY);
	put_stamp(memory + frame + HEADROOM, sent);
	rings->receive[at & MASK] = (struct xdp_desc){
	    .addr = frame + HEADROOM,
	    .len = put_frame(memory + frame + HEADROOM, sent++)};
	atomic_store(&rings->receive_producer, at + 1);
}

static void
note(bool *there, uint64_t address)
{
	uint64_t frame = address / XDP_FRAME_SIZE;

	assert_true(frame < FRAMES);
	assert_false(there[frame]);
	there[frame] = true;
}

static uint32_t
committed(const struct segment *segment)
{
	return (uint32_t)inputs_of(segment, ingest_current(
	    &segment->state->ingest))[0].xdp_frames;
}

/* What the kernel may write to is no frame that is yet to be read; and what is
 * neither has been read, and is given back by whoever is next. */
static void
check_frames(const struct segment *segment, const struct rings *rings)
{
	uint32_t given = atomic_load(&rings->fill_producer);
	uint32_t came = atomic_load(&rings->receive_producer);
	uint32_t read = committed(segment), i;
	bool there[FRAMES] = {false};

	for (i = fill_consumer; i != given; i++)
		note(there, rings->fill[i & MASK]);
	for (i = read; i != came; i++)
		note(there, rings->receive[i & MASK].addr);
	for (i = given - FRAMES; i != read; i++)
		note(there, rings->fill[i & MASK]);
	for (i = 0; i < FRAMES; i++)
		assert_true(there[i]);
}

/*** The worker. ***/

static void
make(struct player *player)
{
	static const struct listen_config listen;
	struct segment_spec spec = {.ring_size = RING_SIZE, .inputs = 1,
	    .input = &listen};
	struct input_state *input;
	bool locked;

	assert_int_equal(segment_create(&player->segment, &spec, &locked), 0);
	input = inputs_of(&player->segment, inputs_begin(&player->segment));
	input->xdp_socket = player->segment.state->xdp_socket = COOKIE;
	input->xdp_frames = BEFORE;
	ingest_commit(&player->segment.state->ingest);
	player->rings = mmap(NULL, sizeof(*player->rings), PROT_READ |
	    PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(player->rings != MAP_FAILED);
}

static void
make_rings(struct rings *rings)
{
	uint32_t i;

	sent = 0;
	fill_consumer = (uint32_t)BEFORE;
	for (i = 0; i < FRAMES; i++)
		rings->fill[((uint32_t)BEFORE + i) & MASK] =
		    (uint64_t)i * XDP_FRAME_SIZE;
	atomic_store(&rings->fill_producer, (uint32_t)BEFORE + FRAMES);
	atomic_store(&rings->receive_producer, (uint32_t)BEFORE);
	atomic_store(&rings->receive_consumer, (uint32_t)BEFORE);
}

static void
start(struct player *player)
{
	char why[INGEST_XDP_WHY_SIZE];

	mapped = player->rings;
	relay_init(&player->relay, &player->segment, &beside_fd);
	player->frames = ingest_frames_open(&player->segment, socket_fd,
	    memory_fd, beside_fd, why);
	assert_non_null(player->frames);
	ingest_init(&player->ingest, &player->segment, NULL, &player->relay,
	    &beside_fd, NULL, player->frames);
}

/* As many as the kernel has had. */
static void
receive(struct player *player, unsigned count)
{
	while (committed(&player->segment) != (uint32_t)BEFORE + count)
		ingest_batch(&player->ingest, 0);
}

/*** What comes of it. ***/

/* That at which it was seen, whenever and by whomever it was received. */
static void
check_time(const struct ring_record *record, unsigned datagram)
{
	uint64_t seen_ns = begun_realtime_ns + (datagram + 1) * NS_PER_US;

	assert_in_range(record->received_ns, seen_ns - CLOCKS_NS,
	    seen_ns + CLOCKS_NS);
}

/* Each datagram, in order, by itself or in a run. */
static void
check_ring(const struct segment *segment, unsigned count)
{
	struct ring_reader reader = {.position = ring_start(RING_SIZE)};
	struct ring_view view;
	struct ledger ledger;
	unsigned next, wrong = 0, left = 0;
	const uint8_t *at = NULL;

	for (next = 0; next < count; next++) {
		if (next % WRONG == WRONG - 1) {
			wrong++;
			continue;
		}
		if (left == 0) {
			assert_int_equal(ring_next(&segment->ring, &reader,
			    &view), RING_RECORD);
			left = view.datagrams;
			at = view.payload;
			largest_run = MAX_OF(largest_run, left);
			assert_int_equal(view.record.length,
			    left * size_of(next));
			check_time(&view.record, next);
		}
		assert_int_equal(view.record.port, next / ALIKE);
		assert_int_equal(at[0], next);
		assert_int_equal(at[size_of(next) - 1], next);
		at += size_of(next);
		left--;
	}
	assert_int_equal(left, 0);
	assert_int_not_equal(ring_next(&segment->ring, &reader, &view),
	    RING_RECORD);
	assert_true(segment_ledger(segment, &ledger));
	assert_int_equal(ledger.received, count - wrong);
	assert_int_equal(ledger.kernel_dropped, wrong);
}

/* All of the segment that is used here. */
static void
copy_segment(const struct segment *to, const struct segment *from)
{
	uint64_t at = ring_start(RING_SIZE);

	memcpy(to->base, from->base, (size_t)(from->slots - from->base));
	memcpy(ring_at(&to->ring, at), ring_at(&from->ring, at),
	    DATAGRAMS * 256);
}

static void
check_successor(void)
{
	struct rings *rings = successor.rings;

	check_frames(&worker.segment, worker.rings);
	copy_segment(&successor.segment, &worker.segment);
	*rings = *worker.rings;
	start(&successor);
	check_frames(&successor.segment, rings);
	receive(&successor, sent);
	check_ring(&successor.segment, sent);
	check_frames(&successor.segment, rings);
	assert_int_equal(atomic_load(&rings->receive_consumer),
	    (uint32_t)BEFORE + sent);
	assert_int_equal(atomic_load(&rings->fill_producer) - fill_consumer,
	    FRAMES);
	ingest_frames_close(successor.frames);
}

static void
test_kill(void **state ATTR_UNUSED)
{
	unsigned steps = 0, i;
	pid_t pid;

	make_rings(worker.rings);
	for (i = 0; i < AT_ONCE; i++)
		one_comes(worker.rings);
	pid = fork();
	if (pid == 0) {
		single_step_here();
		start(&worker);
		receive(&worker, DATAGRAMS);
		_exit(0);
	}
	single_step_begin(pid);
	while (single_step(pid)) {
		if (steps % STEP_EACH == 0)
			check_successor();
		if (steps++ % COMES_EACH == 0)
			one_comes(worker.rings);
		assert_true(steps < 1000000);
	}
	check_successor();
	assert_int_equal(sent, DATAGRAMS);
	print_message("killed after %u instructions\n", steps);
	assert_true(steps > 1000);
	assert_int_equal(largest_run, ALIKE);
}

static int
set_up(void **state ATTR_UNUSED)
{
	begun_realtime_ns = clock_realtime_ns() - clock_monotonic_ns();
	beside_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* That it can be waited for is all that is asked of it. */
	socket_fd = eventfd(0, EFD_CLOEXEC);
	memory_fd = memfd_create("frames", MFD_CLOEXEC);
	assert_int_equal(ftruncate(memory_fd, (off_t)MEMORY), 0);
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED,
	    memory_fd, 0);
	assert_true(memory != MAP_FAILED && beside_fd != -1 &&
	    socket_fd != -1);
	make(&worker);
	make(&successor);
	return 0;
}

static int
tear_down(void **state ATTR_UNUSED)
{
	segment_close(&worker.segment);
	segment_close(&successor.segment);
	(void)munmap(memory, MEMORY);
	close(memory_fd);
	close(socket_fd);
	close(beside_fd);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill),
	};

	log_set_level(LOG_ERR);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

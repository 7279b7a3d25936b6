/* SPDX-License-Identifier: ISC */
/*
 * Numbered datagrams through a rig's worker, and what became of them.
 */
#include <sys/socket.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "common/util.h"
#include "tests/unit/load.h"

#define PAYLOAD		100
#define BATCH		25
#define BATCH_NS	500000		/* 50 000 datagrams/s */
#define UNDER_WAY	2000

/* Larger and smaller than what came before, and often of one size. */
static size_t
payload_size(uint64_t number)
{
	return PAYLOAD - number / 4 * 31 % 61;
}

static void
send_batch(struct load *load, struct timespec *deadline)
{
	uint8_t payload[PAYLOAD];
	uint64_t number;
	unsigned i;

	for (i = 0; i < BATCH; i++) {
		number = atomic_load(&load->sent);
		memset(payload, (int)(number & 0xff), sizeof(payload));
		memcpy(payload, &number, sizeof(number));
		if (number % load->inputs == 0)
			rig_send(load->rig, payload, payload_size(number));
		else
			rig_send_second(load->rig, payload,
			    payload_size(number));
		atomic_store(&load->sent, number + 1);
	}
	deadline->tv_nsec += BATCH_NS;
	if (deadline->tv_nsec >= 1000000000) {
		deadline->tv_nsec -= 1000000000;
		deadline->tv_sec++;
	}
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, deadline, NULL);
}

/* Datagrams that somebody has yet to take care of. */
static uint64_t
under_way(struct load *load)
{
	struct ledger ledger;

	assert_true(segment_ledger(&load->rig->segment, &ledger));
	return MAX_OF(ledger.pending, atomic_load(&load->sent) -
	    atomic_load(&load->relayed) - ledger.relay_paused);
}

/* Whether each that was sent has come, or came while that was paused. */
static bool
all_relayed(struct load *load)
{
	struct ledger ledger;

	assert_true(segment_ledger(&load->rig->segment, &ledger));
	return atomic_load(&load->relayed) + ledger.relay_paused ==
	    atomic_load(&load->sent);
}

/* The next one that has come; those before it that have not. */
static void
take(struct load *load, struct load_flow *flows, uint64_t number)
{
	struct load_flow *flow = &flows[number % load->inputs];

	if (load->pauses ? number < flow->next : number != flow->next) {
		flow->faults++;
		print_message("%s: %" PRIu64 " instead of %" PRIu64 "\n",
		    flows == load->relay ? "relayed" : "archived", number,
		    flow->next);
	} else
		flow->missing += number - flow->next;
	flow->next = number + load->inputs;
}

/*
 * Keeps what is under way well below what the sockets' buffers and the ring
 * hold: what the kernel drops, or the archive gives up, while this machine
 * has no time for a worker is not the point.
 */
static void
wait_for_room(struct load *load)
{
	while (!atomic_load(&load->stop) && under_way(load) > UNDER_WAY)
		sched_yield();
}

static void *
run_sender(void *argument)
{
	struct load *load = argument;
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	while (!atomic_load(&load->stop)) {
		wait_for_room(load);
		send_batch(load, &deadline);
	}
	return NULL;
}

static uint64_t
number_of(const uint8_t *payload, size_t size)
{
	uint64_t number = 0;

	if (size >= sizeof(number))
		memcpy(&number, payload, sizeof(number));
	if (size != payload_size(number) ||
	    payload[size - 1] != (uint8_t)number)
		fail_msg("payload of %zu bytes, number %llu", size,
		    (unsigned long long)number);
	return number;
}

/* What was being sent when its worker was killed, where nothing says whether
 * it had left (common/messages.h). */
static bool
sent_again(struct load *load, uint64_t number)
{
#ifdef HAVE_LINUX
	(void)load;
	(void)number;
	return false;
#else
	return number + load->inputs ==
	    load->relay[number % load->inputs].next;
#endif
}

/* One source over loopback: order holds, so each number is the next one. */
static void *
run_receiver(void *argument)
{
	struct load *load = argument;
	uint8_t payload[2 * PAYLOAD];
	struct pollfd pollfd = {.fd = load->rig->sink, .events = POLLIN};
	uint64_t number;
	ssize_t size;

	for (;;) {
		if (poll(&pollfd, 1, 100) == 0) {
			if (atomic_load(&load->sent_all) && all_relayed(load))
				return NULL;
			if (atomic_load(&load->sent_all) &&
			    load->relay[0].faults + load->relay[1].faults > 0)
				return NULL;
			continue;
		}
		size = recv(load->rig->sink, payload, sizeof(payload), 0);
		if (size == -1)
			return NULL;
		number = number_of(payload, (size_t)size);
		if (sent_again(load, number))
			continue;
		take(load, load->relay, number);
		atomic_fetch_add(&load->relayed, 1);
	}
}

static void
visit(void *argument, uint64_t sequence, const char *source,
    const uint8_t *payload, size_t size)
{
	struct load *load = argument;
	uint64_t number = number_of(payload, size);
	char text[INPUT_TEXT_SIZE] = "";

	assert_memory_equal(source, "127.0.0.1:", 10);
	if (load->inputs > 1)
		(void)inputs_text(&load->rig->listen[number % 2], text);
	assert_string_equal(rig_destination, text);
	if (sequence < load->sequence ||
	    (load->inputs == 1 && number != sequence))
		load->archive[0].faults++;
	load->sequence = sequence + 1;
	take(load, load->archive, number);
}

void
load_start(struct load *load, struct rig *rig)
{
	memset(load, 0, sizeof(*load));
	load->rig = rig;
	load->inputs = rig->segment.inputs;
	load->relay[1].next = load->archive[1].next = 1;
	assert_int_equal(pthread_create(&load->receiver, NULL, run_receiver,
	    load), 0);
	assert_int_equal(pthread_create(&load->sender, NULL, run_sender,
	    load), 0);
}

void
load_pause(uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / NS_PER_S),
	    .tv_nsec = (long)(ns % NS_PER_S)};

	nanosleep(&ts, NULL);
}

/* Each input has its own, whoever was killed. */
static void
check_inputs(struct load *load, uint64_t sent)
{
	struct input_state state[INPUTS_MAX];
	unsigned i;

	assert_true(inputs_read(&load->rig->segment, state));
	for (i = 0; i < load->inputs; i++) {
		assert_int_equal(load->relay[i].faults, 0);
		assert_int_equal(load->archive[i].faults, 0);
		assert_int_equal(state[i].counts.received +
		    state[i].counts.kernel_dropped,
		    (sent + load->inputs - 1 - i) / load->inputs);
		if (load->inputs == 1)
			continue;
		assert_int_equal(load->relay[i].missing +
		    load->archive[i].missing, 0);
		assert_true(load->relay[i].next >= sent);
		assert_true(load->archive[i].next >= sent);
	}
}

void
load_finish(struct load *load)
{
	struct rig *rig = load->rig;
	uint64_t sent;
	struct ledger ledger;

	atomic_store(&load->stop, true);
	pthread_join(load->sender, NULL);
	atomic_store(&load->sent_all, true);
	rig_wait_received(rig, atomic_load(&load->sent));
	rig_wait_settled(rig);
	assert_int_equal(rig_stop(rig, 0), 0);
	pthread_join(load->receiver, NULL);
	sent = atomic_load(&load->sent);
	rig_check_ledger(rig, sent);
	assert_true(segment_ledger(&rig->segment, &ledger));
	assert_int_equal(load->relay[0].faults + load->relay[1].faults, 0);
	assert_int_equal(atomic_load(&load->relayed), ledger.relayed);
	rig_read_archive(rig, "", visit, load);
	check_inputs(load, sent);
	if (load->inputs == 1) {
		assert_int_equal(load->relay[0].missing + sent -
		    load->relay[0].next, ledger.relay_paused);
		assert_int_equal(load->archive[0].missing + sent -
		    load->archive[0].next, ledger.archive_paused);
	}
	assert_int_equal(ledger.relay_errors + ledger.archive_shed, 0);
	assert_true(load->pauses ||
	    ledger.relay_paused + ledger.archive_paused == 0);
	assert_int_equal(rig_count_files(rig, ".part"), 0);
}


/* SPDX-License-Identifier: ISC */
/*
 * From the ring to the outputs.  Worker, relay thread only.  Must not
 * allocate, lock or ask the clock per datagram, nor wait for an output.
 */
#include <sys/socket.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/messages.h"
#include "common/udp.h"
#include "common/util.h"
#include "worker/relay_priv.h"

/* Instead of an error. */
#define SENT			0

/* Sentinels and sizes, then the announcement, as segment.h wants it. */
static void
announce_batch(struct output *output, struct send_batch *batch)
{
	const struct segment *segment = batch->segment;
	struct tx_area *tx = batch->tx;
	unsigned i;

	for (i = 0; i < batch->messages; i++) {
		if (tx->plan[i].datagrams > 1)
			udp_put_segment(&tx->msg[i].msg_hdr, tx->control[i],
			    (uint16_t)tx->plan[i].datagram_size);
		tx->msg[i].msg_len = TX_SENTINEL;
	}
	tx->offered = batch->messages;
	/* Partner: the acquire in relay_init() of a successor. */
	atomic_store_explicit(&tx->batch, TX_BATCH(output->index,
	    output_current(&segment->state->output[output->index])->batch + 1),
	    memory_order_release);
}

/* Where datagrams that could not be sent are counted, by cause. */
static uint64_t *
cause_of(struct output_counts *counts, int error)
{
	switch (error) {
	case ENOBUFS:
	case ENOMEM:
		return &counts->relay_no_buffers;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ENODEV:
	case EADDRNOTAVAIL:
	case ECONNREFUSED:
	case EDESTADDRREQ:
		return &counts->relay_unreachable;
	case EMSGSIZE:
		return &counts->relay_too_large;
	default:
		return &counts->relay_other;
	}
}

/* Moves the output past the first `n' messages: sent, or, with an `error',
 * given up. */
static void
settle(const struct segment *segment, unsigned index, unsigned n,
    int error)
{
	struct output_domain *domain = &segment->state->output[index];
	struct output_state *state = output_begin(domain);
	const struct tx_area *tx = segment->tx;
	uint64_t datagrams = 0;
	unsigned i;

	for (i = 0; i < n; i++) {
		datagrams += tx->plan[i].datagrams;
		state->counts.kernel_relay_errors +=
		    tx->plan[i].kernel_failed;
	}
	if (n > 0) {
		state->position = tx->plan[n - 1].position;
		state->sequence = tx->plan[n - 1].sequence;
		state->skip = tx->plan[n - 1].skip;
	}
	if (error == SENT)
		state->counts.relayed += datagrams;
	else {
		state->counts.relay_errors += datagrams;
		*cause_of(&state->counts, error) += datagrams;
	}
	state->batch++;
	output_commit(domain);
}

/* The first message asked for segments that its route does not take. */
static void
lower_gso_limit(struct output *output, uint32_t datagram_size, int error)
{
	output->gso_limit = error == EIO ? 0 : datagram_size - 1;
	output->gso_retry_ns = clock_monotonic_ns() + GSO_RETRY_NS;
	if (!output->gso_told)
		log_info("output %s does not take runs of %u-byte datagrams "
		    "in one message (%s); sends them one by one",
		    relay_output_text(output), datagram_size, strerror(error));
	output->gso_told = true;
}

/*
 * The supervisor is connecting the socket anew, which it does when it knows
 * that it can.  False: that takes so long that it has failed after all.
 */
static bool
is_reconnected(struct output *output)
{
	uint64_t now = clock_monotonic_ns();

	if (output->unconnected_ns == 0)
		output->unconnected_ns = now;
	return now - output->unconnected_ns < RECONNECT_NS;
}

/*
 * The first message could not be sent.  True: try again at once.  A refused
 * connection tells of an earlier datagram, which has been counted as
 * relayed; asking has cleared it.
 */
static bool
send_failed(struct output *output, int error, unsigned *refusals)
{
	const struct segment *segment = output->relay->segment;
	const struct tx_area *tx = segment->tx;

	if (error == EAGAIN ||
	    (error == EDESTADDRREQ && is_reconnected(output))) {
		output->blocked = true;
		return false;
	}
	if (error == EINTR || (error == ECONNREFUSED && ++*refusals < 3))
		return true;
	if (tx->plan[0].datagrams > 1 &&
	    (error == EINVAL || error == EIO || error == EMSGSIZE)) {
		lower_gso_limit(output, tx->plan[0].datagram_size, error);
		return true;
	}
	settle(segment, output->index, 1, error);
	log_limited(&output->limit_error, "output %s: %s: counted in "
	    "relay_errors", relay_output_text(output), strerror(error));
	return true;
}

static void
raise_gso_limit(struct output *output)
{
	if (LIKELY(output->gso_limit == GSO_LIMIT_MAX) ||
	    clock_monotonic_ns() < output->gso_retry_ns)
		return;
	output->gso_limit = GSO_LIMIT_MAX;
}

static struct send_batch
begin_batch(struct output *output, const struct output_state *state,
    uint64_t head, uint64_t before_ns)
{
	const struct segment *segment = output->relay->segment;
	struct send_batch batch = {.segment = segment, .tx = segment->tx,
	    .gso_limit = output->gso_limit, .turn = &output->relay->turn,
	    .before_ns = before_ns, .head = head,
	    .output = output->index,
	    .at = {.position = state->position,
	    .sequence = state->sequence, .skip = state->skip}};

	if (output->keep.wanted) {
		keep_source_learn(&output->keep, output->socket);
		batch.keep = &output->keep;
		batch.header = output->relay->header;
	}
	return batch;
}

/* As messages_send(). */
static int
send_batch(const struct output *output, const struct send_batch *batch)
{
	if (output->keep.wanted && !output->keep.known) {
		errno = EDESTADDRREQ;
		return -1;
	}
	return messages_send(output->socket, batch->tx->msg, batch->messages);
}

/* Another host had the turn when the next record came.  True: it is behind. */
static bool
pass_others(struct output *output, const struct output_state *state,
    uint64_t head, uint64_t before_ns)
{
	const struct ring_record *record = (const void *)ring_at(
	    &output->relay->segment->ring, state->position);

	if ((record->flags & RING_PAD) == 0 &&
	    record->received_ns >= before_ns)
		return false;
	relay_pass(output, head, before_ns);
	return true;
}

static void
run_output(struct output *output)
{
	const struct segment *segment = output->relay->segment;
	struct output_domain *domain = &segment->state->output[output->index];
	uint64_t head = turn_end(&output->relay->turn,
	    ring_head(&segment->ring));
	const struct output_state *state;
	unsigned refusals = 0;
	struct send_batch batch;
	uint64_t before_ns;
	int n;

	raise_gso_limit(output);
	while (!output->blocked) {
		state = output_current(domain);
		if (state->position >= head)
			break;
		before_ns = turn_before_ns(&segment->state->turn);
		if (UNLIKELY(before_ns != 0) &&
		    pass_others(output, state, head, before_ns))
			continue;
		batch = begin_batch(output, state, head, before_ns);
		relay_plan(&batch);
		if (UNLIKELY(batch.messages == 0)) {
			relay_pass(output, head, before_ns);
			continue;
		}
		announce_batch(output, &batch);
		if (segment_is_muted(segment->state)) {
			relay_pass(output, head, UINT64_MAX);
			continue;
		}
		n = send_batch(output, &batch);
		if (n > 0) {
			refusals = 0;
			output->unconnected_ns = 0;
			settle(segment, output->index, (unsigned)n,
			    SENT);
		} else if (!send_failed(output, errno, &refusals))
			break;
	}
}

void
relay_run(struct relay *relay)
{
	unsigned i;

	turn_look(relay);
	for (i = 0; i < relay->outputs; i++)
		if (!relay->output[i].blocked)
			run_output(&relay->output[i]);
	turn_answer(relay);
}

/* How many messages of the batch in flight the kernel has taken. */
static unsigned
sent_messages(const struct tx_area *tx)
{
	unsigned n = 0, offered = MIN_OF(tx->offered, (uint32_t)TX_MESSAGES);

	while (n < offered && tx->msg[n].msg_len != TX_SENTINEL)
		n++;
	return n;
}

static void
set_way(struct output *output, uint32_t way)
{
	output->gso_limit = GSO_LIMIT_MAX;
	output->keep.wanted = (way & OUTPUT_KEEP_SOURCE) != 0;
	if (!udp_sends_runs() ||
	    (way & (OUTPUT_ONE_BY_ONE | OUTPUT_KEEP_SOURCE)) != 0) {
		output->gso_limit = 0;
		output->gso_retry_ns = UINT64_MAX;
	}
}

void
relay_init(struct relay *relay, const struct segment *segment,
    const int *sockets)
{
	struct tx_area *tx = segment->tx;
	struct output *output;
	uint64_t word = atomic_load_explicit(&tx->batch,
	    memory_order_acquire);
	unsigned i;

	memset(relay, 0, sizeof(*relay));
	relay->segment = segment;
	relay->turn.end = UINT64_MAX;
	relay->turn.merged = segment->merge != NULL;
	relay->outputs = MIN_OF(segment->config->outputs,
	    (uint32_t)OUTPUTS_MAX);
	for (i = 0; i < relay->outputs; i++) {
		output = &relay->output[i];
		output->relay = relay;
		output->index = i;
		output->socket = sockets[i];
		set_way(output, segment->config->output[i].way);
	}
	i = TX_BATCH_OUTPUT(word);
	if (i < relay->outputs && word == TX_BATCH(i, output_current(
	    &segment->state->output[i])->batch + 1))
		settle(segment, i, sent_messages(tx), SENT);
}

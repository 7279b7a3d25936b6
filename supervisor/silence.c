/* SPDX-License-Identifier: ISC */
/*
 * Notices channels that hear nothing, and joins their groups again.  See
 * silence.h.  Supervisor only.
 */
#include <net/if.h>
#include <netinet/in.h>

#include "common/inputs.h"
#include "common/log.h"
#include "common/udp.h"
#include "common/util.h"
#include "supervisor/events.h"
#include "supervisor/silence.h"
#include "supervisor/sockets.h"
#include "supervisor/sockets_heal.h"
#include "supervisor/supervisor.h"

/* The longest distance, and the shortest: who asks does so once a second. */
#define REJOIN_MAX_NS	(300 * NS_PER_S)
#define REJOIN_MIN_NS	NS_PER_S

static double
seconds(uint64_t ns)
{
	return (double)ns / (double)NS_PER_S;
}

/*** Joining again. ***/

bool
rejoin_due(struct rejoin *rejoin, uint64_t stale_after_ns, bool up,
    uint64_t now_ns)
{
	if (rejoin->next_ns == 0 || !up) {
		rejoin->next_ns = now_ns;
		rejoin->distance_ns = MAX_OF(stale_after_ns, REJOIN_MIN_NS);
	}
	if (!up || now_ns < rejoin->next_ns)
		return false;
	rejoin->next_ns = now_ns + rejoin->distance_ns;
	rejoin->distance_ns = MIN_OF(2 * rejoin->distance_ns,
	    MAX_OF(REJOIN_MAX_NS, stale_after_ns));
	rejoin->count++;
	return true;
}

/* The input is there, is a group's, and where it is joined is known. */
static bool
is_joined(const struct channel *channel, const struct input *input)
{
	return input->fd != -1 && input->bound &&
	    (channel->next.have & PART_INPUT) == 0 &&
	    udp_is_group(&input->listen.address) &&
	    input->at.index != 0 && input->at.error == 0;
}

/* Of the interface where it is joined. */
static int
interface_flags(const struct input *input)
{
	return sockets_interface_flags(input->fd, input->at.index);
}

/* With a carrier. */
static bool
is_up(int flags)
{
	return (flags & IFF_UP) != 0 && (flags & IFF_RUNNING) != 0;
}

/* The only input is as silent as its channel. */
static struct silence *
silence_of(struct channel *channel, size_t i)
{
	return channel->parts.inputs == 1 ? &channel->silence :
	    &channel->parts.input[i].silence;
}

/* The same group, on whatever ports, on the same interface. */
static bool
joined_alike(const struct input *a, const struct input *b)
{
	const struct sockaddr_storage *one = &a->listen.address;
	const struct sockaddr_storage *two = &b->listen.address;
	const struct sockaddr_in6 *one6 = (const void *)one;
	const struct sockaddr_in6 *two6 = (const void *)two;
	const struct sockaddr_in *one4 = (const void *)one;
	const struct sockaddr_in *two4 = (const void *)two;

	if (a->at.index != b->at.index || one->ss_family != two->ss_family)
		return false;
	if (one->ss_family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&one6->sin6_addr, &two6->sin6_addr);
	return one4->sin_addr.s_addr == two4->sin_addr.s_addr;
}

static void
leave_alike(struct channel *channel, const struct input *due)
{
	const struct input *each;
	size_t i;

	for (i = 0; i < channel->parts.inputs; i++) {
		each = &channel->parts.input[i];
		if (silence_of(channel, i)->stale &&
		    is_joined(channel, each) && joined_alike(each, due))
			sockets_leave(each->fd, &each->listen, each->at.index);
	}
}

static void
join_alike(struct channel *channel, const struct input *due)
{
	const struct input *each;
	size_t i;

	for (i = 0; i < channel->parts.inputs; i++) {
		each = &channel->parts.input[i];
		if (silence_of(channel, i)->stale &&
		    is_joined(channel, each) && joined_alike(each, due) &&
		    sockets_join(each->fd, &each->listen, each->at.index) ==
		    -1)
			/* It says so, and tries until it succeeds. */
			channel->supervisor->heal.pending = true;
	}
}

/*
 * The kernel sends a report when the first socket of this host joins, so all
 * that hear nothing leave before one joins again.  What arrives in between, for
 * some microseconds, is lost: but nothing had arrived.  Who hears the same
 * group on the same interface stays in it; the switch knows it then.
 */
static void
join_again(struct supervisor *supervisor, const struct input *due)
{
	struct channel *each;

	TAILQ_FOREACH(each, &supervisor->channels, link)
		leave_alike(each, due);
	TAILQ_FOREACH(each, &supervisor->channels, link)
		join_alike(each, due);
}

static void
say_joined(struct channel *channel, const struct input *input,
    const struct silence *silence, uint64_t now_ns)
{
	char address[ADDRESS_TEXT_SIZE], interface[IF_NAMESIZE] = "?";
	double silent_s = seconds(now_ns - silence->seen_at_ns);

	format_address((const void *)&input->listen.address, address);
	(void)if_indextoname((unsigned)input->at.index, interface);
	log_info("channel %s: input %s: left and joined again on %s after "
	    "%.1f s of silence, in case that a switch has forgotten it; "
	    "next in %.0f s", channel->name, address, interface, silent_s,
	    seconds(silence->rejoin.next_ns - now_ns));
	events_add(channel->supervisor, channel, EVENT_REJOIN,
	    json_pack("{s:s, s:s, s:f}", "group", address, "interface",
	    interface, "silent_s", silent_s),
	    "%s left and joined again on %s after %.1f s of silence", address,
	    interface, silent_s);
}

static void
check_membership(struct supervisor *supervisor, struct channel *channel,
    size_t i, uint64_t now_ns)
{
	struct silence *silence = silence_of(channel, i);
	const struct input *input = &channel->parts.input[i];

	if (!silence->stale || !is_joined(channel, input) ||
	    !rejoin_due(&silence->rejoin, channel->conf->stale_after_ns,
	    is_up(interface_flags(input)), now_ns))
		return;
	join_again(supervisor, input);
	say_joined(channel, input, silence, now_ns);
}

static void
look_for_querier(struct querier *querier, const struct channel *channel,
    uint64_t now_ns)
{
	const struct input *input;
	int flags;
	size_t i;

	for (i = 0; i < channel->parts.inputs; i++) {
		input = &channel->parts.input[i];
		if (!is_joined(channel, input))
			continue;
		flags = interface_flags(input);
		if ((flags & IFF_LOOPBACK) == 0)
			querier_joined(querier, input->at.index,
			    &input->listen.address, is_up(flags), now_ns);
	}
}

/* Who asks for members is heard on all interfaces that have some; there are no
 * switches in this host. */
static void
look_for_queriers(struct supervisor *supervisor, uint64_t now_ns)
{
	struct querier *querier = &supervisor->querier;
	const struct channel *channel;

	querier_begin(querier);
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		look_for_querier(querier, channel, now_ns);
	querier_end(querier, now_ns);
}

/*** Silence. ***/

void
silence_begin(struct silence *silence)
{
	/* A worker that follows another does not make a source speak. */
	if (!silence->stale)
		silence->seen_at_ns = clock_monotonic_ns();
}

void
silence_end(struct silence *silence)
{
	silence->stale = false;
	silence->rejoin = (struct rejoin){ 0 };
}

static void
say_heard(const struct channel *channel, uint64_t silent_ns)
{
	log_info("channel %s: datagrams come in again after %.1f s of "
	    "silence", channel->name, seconds(silent_ns));
}

static void
say_stale(const struct channel *channel, uint64_t silent_ns)
{
	log_warnx("channel %s: no datagram for %.1f s: is its source down, or "
	    "the network?", channel->name, seconds(silent_ns));
}

/* Whether nothing has come for longer than the limit; what came last, came at
 * `last_ns'. */
static bool
is_stale(struct silence *silence, uint64_t last_ns, uint64_t limit_ns,
    uint64_t now_ns)
{
	/* That it changes is the news, not what it says: the wall clock may
	 * step. */
	if (last_ns != silence->seen_ns) {
		silence->seen_ns = last_ns;
		silence->seen_at_ns = now_ns;
	}
	return limit_ns != 0 && now_ns > silence->seen_at_ns &&
	    now_ns - silence->seen_at_ns > limit_ns;
}

static void
check_stale(struct channel *channel, uint64_t now_ns)
{
	struct silence *silence = &channel->silence;
	uint64_t silent_ns;
	struct ingest_state state;
	bool stale;

	if (channel->child.state != CHILD_RUNNING || channel->foreign.worker ||
	    !ingest_read(&channel->segment.state->ingest, &state))
		return;
	silent_ns = now_ns > silence->seen_at_ns ?
	    now_ns - silence->seen_at_ns : 0;
	stale = is_stale(silence, state.last_received_ns,
	    channel->conf->stale_after_ns, now_ns);
	if (stale && !silence->stale)
		say_stale(channel, silent_ns);
	else if (!stale && silence->stale) {
		say_heard(channel, silent_ns);
		silence_end(silence);
	}
	silence->stale = stale;
}

/* Of several, one may be silent while the channel is not: its group is joined
 * again, too.  Of what nobody says when it should come, nobody is told. */
static void
check_inputs(struct channel *channel, uint64_t now_ns)
{
	struct input_state state[INPUTS_MAX];
	struct silence *silence;
	size_t i;
	bool stale;

	if (channel->parts.inputs < 2 || channel->foreign.worker ||
	    channel->child.state != CHILD_RUNNING ||
	    channel->parts.inputs != channel->segment.inputs ||
	    !inputs_read(&channel->segment, state))
		return;
	for (i = 0; i < channel->parts.inputs; i++) {
		silence = &channel->parts.input[i].silence;
		if (silence->seen_at_ns == 0)
			silence->seen_at_ns = now_ns;
		stale = is_stale(silence, state[i].last_received_ns,
		    channel->conf->stale_after_ns, now_ns);
		if (!stale && silence->stale)
			silence_end(silence);
		silence->stale = stale;
	}
}

void
silence_second(struct supervisor *supervisor, uint64_t now_ns)
{
	struct channel *channel;
	size_t i;

	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		check_stale(channel, now_ns);
		check_inputs(channel, now_ns);
	}
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		for (i = 0; i < channel->parts.inputs; i++)
			check_membership(supervisor, channel, i, now_ns);
	look_for_queriers(supervisor, now_ns);
}

/* SPDX-License-Identifier: ISC */
/*
 * Inputs of all channels, beside each other.  See check.c.  Supervisor only.
 */
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/prefix.h"
#include "common/udp.h"
#include "common/util.h"
#include "supervisor/conf/address.h"
#include "supervisor/conf/check_priv.h"

#define RMEM_MAX_FILE	"/proc/sys/net/core/rmem_max"

static int
compare_inputs(const void *one, const void *other)
{
	const struct check_input *a = one, *b = other;
	int order;

	order = address_compare(&a->listen->address, &b->listen->address);
	if (order != 0)
		return order;
	if (a->channel != b->channel)
		return a->channel < b->channel ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

/* Where inputs of exactly this address and port begin, or would. */
static const struct check_input *
find_first(const struct check *check, const struct sockaddr_storage *address)
{
	size_t from = 0, to = check->inputs, middle;

	while (from < to) {
		middle = (from + to) / 2;
		if (address_compare(&check->input[middle].listen->address,
		    address) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return &check->input[from];
}

/* Whether `input' is there, and has this address. */
static bool
is_at(const struct check *check, const struct check_input *input,
    const struct sockaddr_storage *address)
{
	return input < check->input + check->inputs &&
	    address_compare(&input->listen->address, address) == 0;
}

const struct check_input *
check_find_input(const struct check *check,
    const struct sockaddr_storage *address)
{
	const struct check_input *first = find_first(check, address);

	return is_at(check, first, address) ? first : NULL;
}

bool
check_is_shared(const struct check *check, const struct channel_conf *channel,
    const struct listen_config *listen)
{
	const struct check_input *input = check_find_input(check,
	    &listen->address);

	for (; input != NULL && is_at(check, input, &listen->address);
	    input++)
		if (input->channel != channel)
			return true;
	return false;
}

static struct sockaddr_storage
wildcard_of(const struct sockaddr_storage *address)
{
	struct sockaddr_storage any = { .ss_family = address->ss_family };

	address_set_port(&any, address_port(address));
	return any;
}

const struct check_input *
check_find_wildcard(const struct check *check,
    const struct sockaddr_storage *address)
{
	struct sockaddr_storage any = wildcard_of(address);

	return check_find_input(check, &any);
}

/* What is wrong has been reported. */
static void
add_input(struct check *check, const struct channel_conf *channel,
    size_t number)
{
	const struct listen_config *listen = &channel->listen[number];

	if (check_usable(&listen->address))
		check->input[check->inputs++] = (struct check_input){
		    .channel = channel, .listen = listen, .number = number};
}

void
check_sort_inputs(struct check *check)
{
	const struct conf *conf = check->conf;
	size_t i, j, count = 0;

	for (i = 0; i < conf->channels; i++)
		count += conf->channel[i].inputs;
	check->input = xcalloc(count + 1, sizeof(check->input[0]));
	for (i = 0; i < conf->channels; i++)
		for (j = 0; j < conf->channel[i].inputs; j++)
			add_input(check, &conf->channel[i], j);
	if (check->inputs > 0)
		qsort(check->input, check->inputs, sizeof(check->input[0]),
		    compare_inputs);
}

/*
 * Whether the kernel keeps both apart: inputs of one channel on two interfaces.
 * A group of IPv4 is bound to none.
 */
static bool
is_apart(const struct check_input *a, const struct check_input *b)
{
	const struct listen_config *one = a->listen, *other = b->listen;
	bool same = address_compare(&one->address, &other->address) == 0;

	return a->channel == b->channel && one->interface[0] != '\0' &&
	    other->interface[0] != '\0' &&
	    strcmp(one->interface, other->interface) != 0 &&
	    (same || one->address.ss_family == AF_INET6 ||
	    (!udp_is_group(&one->address) && !udp_is_group(&other->address)));
}

static bool
is_later(const struct check_input *a, const struct check_input *b)
{
	return a->channel != b->channel ? a->channel > b->channel :
	    a->number > b->number;
}

/* Reported at the one that comes later in the file; `why': of two channels. */
static void
report_shared(const struct check *check, const struct check_input *a,
    const struct check_input *b, const char *why)
{
	const struct check_input *first = is_later(a, b) ? b : a;
	const struct check_input *later = first == a ? b : a;
	char one[ADDRESS_TEXT_SIZE], other[ADDRESS_TEXT_SIZE];
	struct place place = check_places(check, later->channel)->input[
	    later->number].listen;

	if (first->channel == later->channel)
		problem_error(check->problems, place, "channel `%s' listens "
		    "on %s and (line %u) on %s: two inputs cannot share an "
		    "address and port, unless each has an `interface' of its "
		    "own", later->channel->name, check_text(
		    &later->listen->address, one), check_places(check,
		    first->channel)->input[first->number].listen.line,
		    check_text(&first->listen->address, other));
	else
		problem_error(check->problems, place, "channel `%s' listens "
		    "on %s, channel `%s' (line %u) on %s: they %s",
		    later->channel->name, check_text(
		    &later->listen->address, one), first->channel->name,
		    first->channel->line, check_text(&first->listen->address,
		    other), why);
}

/* The smaller of two networks, if it is in the other. */
static const struct source_prefix *
overlap(const struct source_prefix *a, const struct source_prefix *b)
{
	const struct source_prefix *small = a->bits > b->bits ? a : b;

	return prefix_matches(small == a ? b : a, small->address) ? small :
	    NULL;
}

static const struct source_prefix *
find_overlap(const struct listen_config *a, const struct listen_config *b)
{
	const struct source_prefix *both;
	uint32_t i, j;

	for (i = 0; i < a->sources; i++)
		for (j = 0; j < b->sources; j++) {
			both = overlap(&a->source[i], &b->source[j]);
			if (both != NULL)
				return both;
		}
	return NULL;
}

/* Two channels at one address, told apart by who sends: false, and said. */
static bool
is_divided(const struct check *check, const struct check_input *a,
    const struct check_input *b)
{
	const struct listen_config *one = a->listen, *other = b->listen;
	const struct source_prefix *both = find_overlap(one, other);
	char text[PREFIX_TEXT_SIZE], why[PREFIX_TEXT_SIZE + 160];

	if (a->channel->shards > 0 || b->channel->shards > 0)
		(void)snprintf(why, sizeof(why), "can share an address and "
		    "port only without `shards', which share it out "
		    "themselves");
	else if (one->sources == 0 || other->sources == 0)
		(void)snprintf(why, sizeof(why), "can share an address and "
		    "port only if both have `sources', by which they are told "
		    "apart");
	else if (both != NULL)
		(void)snprintf(why, sizeof(why), "both have %s among their "
		    "`sources'", prefix_text(both, text));
	else if (!udp_is_group(&one->address) &&
	    (one->interface[0] != '\0' || other->interface[0] != '\0'))
		(void)snprintf(why, sizeof(why), "can share an address and "
		    "port only without `interface', which the kernel does not "
		    "keep together with telling apart who sends: give an "
		    "address of that interface");
	else
		return true;
	report_shared(check, a, b, why);
	return false;
}

/* How many sources all have together that come before. */
static void
check_sources(const struct check *check, const struct check_input *input,
    uint32_t before)
{
	if (!udp_is_group(&input->listen->address) && before > 0 &&
	    before <= SHARED_SOURCES_MAX &&
	    before + input->listen->sources > SHARED_SOURCES_MAX)
		problem_error(check->problems, check_places(check,
		    input->channel)->input[input->number].listen, "channel "
		    "`%s': those that share this address and port have more "
		    "than %u `sources' together", input->channel->name,
		    SHARED_SOURCES_MAX);
}

/* Those of the same address that come before. */
static void
check_same(const struct check *check, const struct check_input *input)
{
	const struct check_input *other;
	uint32_t sources = 0;

	for (other = input; other > check->input && is_at(check, other - 1,
	    &input->listen->address); other--) {
		sources += other[-1].listen->sources;
		if (is_apart(other - 1, input))
			continue;
		if (other[-1].channel == input->channel) {
			report_shared(check, other - 1, input, "");
			return;
		}
		if (!is_divided(check, other - 1, input))
			return;
	}
	check_sources(check, input, sources);
}

static void
check_wildcards(const struct check *check, const struct check_input *input)
{
	struct sockaddr_storage any = wildcard_of(&input->listen->address);
	const struct check_input *other = find_first(check, &any);

	if (address_is_any(&input->listen->address))
		return;
	for (; is_at(check, other, &any); other++)
		if (!is_apart(other, input)) {
			report_shared(check, other, input,
			    "cannot share an address and port");
			return;
		}
}

void
check_inputs(const struct check *check)
{
	size_t i;

	for (i = 0; i < check->inputs; i++) {
		check_same(check, &check->input[i]);
		check_wildcards(check, &check->input[i]);
	}
}

/* What the kernel grants to everybody; 0: nobody knows. */
static uint64_t
rmem_max(void)
{
	uint64_t most = 0;
	FILE *f;

	if ((f = fopen(RMEM_MAX_FILE, "re")) == NULL)
		return 0;
	if (fscanf(f, "%" SCNu64, &most) != 1)
		most = 0;
	(void)fclose(f);
	return most;
}

/* One warning, for the largest: its advice serves them all. */
void
check_receive_buffers(const struct check *check)
{
	uint64_t most = geteuid() == 0 ? 0 : rmem_max(), large = 0, wanted;
	const struct conf *conf = check->conf;
	struct place place = { 0, 0 };
	size_t i, j;

	for (i = 0; i < conf->channels; i++)
		for (j = 0; j < conf->channel[i].inputs; j++) {
			wanted = conf->channel[i].listen[j].receive_buffer;
			if (wanted <= large)
				continue;
			large = wanted;
			place = check->places[i].input[j].receive_buffer;
		}
	if (most == 0 || large <= most)
		return;
	problem_warning(check->problems, place,
	    "a `receive_buffer' of %" PRIu64 " bytes is more than the kernel "
	    "grants (%" PRIu64 "): as root, sysctl -w "
	    "net.core.rmem_max=%" PRIu64, large, most, large);
}

/* SPDX-License-Identifier: ISC */
/*
 * The doctor's check of what fits in a packet of each output.
 */
#include <inttypes.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"

/* IP's and UDP's own, in bytes. */
#define HEADERS_V4	28U
#define HEADERS_V6	48U

/* Bytes; 0: none came. */
static uint64_t
mean_size(const struct doctor *doctor, const char *channel)
{
	uint64_t count = facts_ledger(doctor, channel, "received");

	return count == 0 ? 0 : facts_ledger(doctor, channel,
	    "received_bytes") / count;
}

/* The largest packet that may come in to the channel; 0: not known, or those
 * of the loopback interface, which say nothing. */
static unsigned
input_mtu(const struct channel_conf *channel)
{
	char name[IF_NAMESIZE];
	unsigned largest = 0;
	size_t i;
	int flags;

	for (i = 0; i < channel->inputs; i++) {
		links_input(&channel->listen[i], name);
		flags = name[0] == '\0' ? -1 : links_flags(name);
		if (flags != -1 && (flags & IFF_LOOPBACK) == 0)
			largest = MAX_OF(largest, links_mtu(name));
	}
	return largest;
}

static void
look_at_output(struct doctor *doctor, const struct channel_conf *channel,
    const struct destination_conf *to)
{
	unsigned headers = to->address.ss_family == AF_INET6 ? HEADERS_V6 :
	    HEADERS_V4;
	uint64_t size = mean_size(doctor, channel->name);
	unsigned from = input_mtu(channel), mtu;
	char name[IF_NAMESIZE];
	bool large;

	links_output(to, name);
	mtu = name[0] == '\0' ? 0 : links_mtu(name);
	if (mtu == 0) {
		doctor_say(doctor, DOCTOR_SKIP, channel->name, "no interface "
		    "is known for an output");
		return;
	}
	large = size != 0 ? size + headers > mtu : from > mtu;
	doctor_mend(doctor, "ip link set %s mtu %" PRIu64 " (and on all on "
	    "the way), or smaller datagrams at the sender", name, size != 0 ?
	    size + headers : (uint64_t)from);
	if (size != 0)
		doctor_say(doctor, large ? DOCTOR_WARN : DOCTOR_OK,
		    channel->name, "datagrams have %" PRIu64 " bytes, and a "
		    "packet of %s up to %u", size, name, mtu);
	else if (from != 0)
		doctor_say(doctor, large ? DOCTOR_WARN : DOCTOR_OK,
		    channel->name, "packets of %s have up to %u bytes, those "
		    "that come in %u", name, mtu, from);
	else
		doctor_say(doctor, DOCTOR_OK, channel->name, "packets of %s "
		    "have up to %u bytes", name, mtu);
}

static void
look_at_refused(struct doctor *doctor, const struct channel_conf *channel)
{
	uint64_t count = facts_ledger(doctor, channel->name,
	    "relay_too_large");

	if (count == 0)
		return;
	doctor_mend(doctor, "smaller datagrams at the sender");
	doctor_say(doctor, DOCTOR_WARN, channel->name, "%" PRIu64 " were "
	    "refused for being too large (relay_too_large)", count);
}

void
doctor_check_mtu(struct doctor *doctor)
{
	const struct channel_conf *channel;
	size_t i, j;

	for (i = 0; i < doctor->conf->channels; i++) {
		channel = &doctor->conf->channel[i];
		for (j = 0; j < channel->relays; j++)
			look_at_output(doctor, channel, &channel->relay[j]);
		look_at_refused(doctor, channel);
	}
}

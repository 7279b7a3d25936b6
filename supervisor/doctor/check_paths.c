/* SPDX-License-Identifier: ISC */
/*
 * The doctor's checks of the ways that datagrams take: the way back to their
 * senders, groups, ports.
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/udp.h"
#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"

/*** rp_filter. ***/

/* The higher of the interface's and all's counts; -1: not known. */
static int64_t
filter_of(const char *name)
{
	int64_t all = -1, own = -1;

	(void)look_number(&all, "/proc/sys/net/ipv4/conf/all/rp_filter");
	(void)look_number(&own, "/proc/sys/net/ipv4/conf/%s/rp_filter", name);
	return MAX_OF(all, own);
}

/* The way back to a sender; of a network, to the first of its hosts that is
 * not this one. */
static int
way_back(const struct source_prefix *source, struct sockaddr_storage *host)
{
	unsigned lo = if_nametoindex("lo"), number, hosts = 1;
	struct sockaddr_in *in = (void *)host;
	uint32_t first;
	int index = -1;

	*host = (struct sockaddr_storage){.ss_family = AF_INET};
	memcpy(&first, source->address + 12, sizeof(first));
	if (source->bits < 126)
		hosts = 3;
	for (number = 1; number <= hosts; number++) {
		in->sin_addr.s_addr = hosts == 1 ? first :
		    htonl(ntohl(first) | number);
		index = links_route(host);
		if (index == -1 || (unsigned)index != lo)
			break;
	}
	return index;
}

/* Of a strict interface: which of the senders it drops; "": none. */
static void
find_dropped(const struct listen_config *listen, const char *name,
    char text[static ADDRESS_TEXT_SIZE])
{
	struct sockaddr_storage address;
	unsigned index = if_nametoindex(name);
	int back;
	size_t i;

	text[0] = '\0';
	for (i = 0; i < listen->sources; i++) {
		back = way_back(&listen->source[i], &address);
		if (back == -1 || (unsigned)back == index)
			continue;
		format_address((const void *)&address, text);
		/* Without the port. */
		text[strcspn(text, ":")] = '\0';
		return;
	}
}

static void
mend_filter(struct doctor *doctor, const char *name)
{
	/* Dots in the name of a VLAN's interface are none of the key's. */
	doctor_mend(doctor, strchr(name, '.') == NULL ?
	    "sysctl -w net.ipv4.conf.%s.rp_filter=2" :
	    "sysctl -w net/ipv4/conf/%s/rp_filter=2", name);
}

static void
look_at_filter(struct doctor *doctor, const struct channel_conf *channel,
    const struct listen_config *listen, const char *name)
{
	int64_t filter = filter_of(name);
	char sender[ADDRESS_TEXT_SIZE];

	if (filter == -1) {
		doctor_say(doctor, DOCTOR_SKIP, channel->name, "rp_filter of "
		    "%s cannot be read", name);
		return;
	}
	if (filter != 1) {
		doctor_say(doctor, DOCTOR_OK, channel->name, "%s: not strict "
		    "(%" PRId64 ")", name, filter);
		return;
	}
	mend_filter(doctor, name);
	find_dropped(listen, name, sender);
	if (sender[0] != '\0')
		doctor_say(doctor, DOCTOR_FAIL, channel->name, "%s: strict "
		    "(1), and the way back to the sender %s is another", name,
		    sender);
	else if ((links_flags(name) & IFF_LOOPBACK) != 0)
		doctor_say(doctor, DOCTOR_OK, channel->name, "%s: strict (1), "
		    "which does no harm there", name);
	else if (listen->sources > 0 ||
	    facts_ledger(doctor, channel->name, "received") > 0)
		doctor_say(doctor, DOCTOR_OK, channel->name, "%s: strict (1), "
		    "but %s", name, listen->sources > 0 ?
		    "the way back to its sources is the same" :
		    "datagrams come in");
	else
		doctor_say(doctor, DOCTOR_WARN, channel->name, "%s: strict "
		    "(1), and the configuration does not say who sends", name);
}

/* Each interface by which it may hear. */
static void
look_at_filters(struct doctor *doctor, const struct channel_conf *channel,
    const struct listen_config *listen)
{
	char name[IF_NAMESIZE];
	struct link_use *use;
	struct channel_conf alone = *channel;
	struct conf only = {.channel = &alone, .channels = 1};
	size_t count, i;

	alone.listen = (void *)(uintptr_t)listen;
	alone.inputs = 1;
	links_input(listen, name);
	if (name[0] != '\0') {
		look_at_filter(doctor, channel, listen, name);
		return;
	}
	count = links_used(&only, &use);
	for (i = 0; i < count; i++)
		if (use[i].input)
			look_at_filter(doctor, channel, listen, use[i].name);
	free(use);
}

void
doctor_check_rp_filter(struct doctor *doctor)
{
	const struct channel_conf *channel;
	size_t i, j;

	for (i = 0; i < doctor->conf->channels; i++) {
		channel = &doctor->conf->channel[i];
		for (j = 0; j < channel->inputs; j++)
			if (channel->listen[j].address.ss_family == AF_INET &&
			    !channel->archives_stream)
				look_at_filters(doctor, channel,
				    &channel->listen[j]);
	}
}

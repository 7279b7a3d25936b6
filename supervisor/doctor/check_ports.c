/* SPDX-License-Identifier: ISC */
/*
 * The doctor's checks of who else has a channel's port, and of how full its
 * buffers were.
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/udp.h"
#include "common/util.h"
#include "supervisor/conf/address.h"
#include "supervisor/doctor/doctor_priv.h"

/* Of ring or buffer: so much was nearly too much. */
#define FULL_PERCENT	80U

/*** Ports. ***/

#define HEX_SIZE	33

/* As the kernel prints it: each 32 bits as a number of the host. */
static void
hex_of(const struct sockaddr_storage *address, char hex[static HEX_SIZE])
{
	const struct sockaddr_in6 *in6 = (const void *)address;
	const struct sockaddr_in *in = (const void *)address;
	uint32_t word[4] = {0};
	size_t i, words = address->ss_family == AF_INET6 ? 4 : 1;

	if (words == 4)
		memcpy(word, &in6->sin6_addr, sizeof(word));
	else
		memcpy(word, &in->sin_addr, sizeof(word[0]));
	for (i = 0; i < words; i++)
		snprintf(hex + 8 * i, HEX_SIZE - 8 * i, "%08" PRIX32,
		    word[i]);
}

/* All sockets of a family, as the kernel tells of them, which takes it a
 * while when there are many. */
struct sockets {
	struct bound {
		char		hex[HEX_SIZE];
		unsigned	port;
	}	*bound;
	size_t	 count;
};

/* To be freed. */
static struct sockets
read_sockets(bool v6)
{
	char *text = v6 ? look_text("/proc/net/udp6") :
	    look_text("/proc/net/udp"), *line, *save;
	/* There is one even of none. */
	struct sockets sockets = {xcalloc(1, sizeof(struct bound)), 0};
	struct bound *each;

	line = text == NULL ? NULL : strtok_r(text, "\n", &save);
	for (; line != NULL; line = strtok_r(NULL, "\n", &save)) {
		sockets.bound = xgrow(sockets.bound, sockets.count,
		    sizeof(*sockets.bound));
		each = &sockets.bound[sockets.count];
		sockets.count += sscanf(line, " %*[0-9]: %32[0-9A-F]:%4x",
		    each->hex, &each->port) == 2;
	}
	free(text);
	return sockets;
}

/* How many sockets would get, or take, what comes to the channel. */
static unsigned
count_in(const struct sockets *sockets, const struct sockaddr_storage *address)
{
	bool any = address_is_any(address);
	const struct bound *each;
	char own[HEX_SIZE];
	unsigned count = 0;

	hex_of(address, own);
	for (each = sockets->bound; each < sockets->bound + sockets->count;
	    each++)
		if (each->port == address_port(address))
			count += any || strcmp(each->hex, own) == 0 ||
			    strspn(each->hex, "0") == strlen(each->hex);
	return count;
}

/* How many of IPv6 are bound to an IPv4 address, and would get what comes to
 * the channel, which is of IPv4. */
static unsigned
count_mapped(const struct sockets *v6, const struct sockaddr_storage *address)
{
	struct sockaddr_in6 prefix = {.sin6_family = AF_INET6};
	bool any = address_is_any(address);
	char own[HEX_SIZE], mapped[HEX_SIZE];
	const struct bound *each;
	unsigned count = 0;

	prefix.sin6_addr.s6_addr[10] = prefix.sin6_addr.s6_addr[11] = 0xff;
	hex_of((const void *)&prefix, mapped);
	hex_of(address, own);
	for (each = v6->bound; each < v6->bound + v6->count; each++)
		if (each->port == address_port(address) &&
		    strncmp(each->hex, mapped, 24) == 0)
			count += any || strcmp(each->hex + 24, own) == 0 ||
			    strcmp(each->hex + 24, "00000000") == 0;
	return count;
}

/* Whether the socket is the daemon's own. */
static bool
has_socket(const struct doctor *doctor, const struct channel_conf *channel)
{
	return facts_of(doctor, channel->name, "socket", "buffer_bytes") != 0;
}

static bool
is_any_v6(const struct sockaddr_storage *address, unsigned port)
{
	return address->ss_family == AF_INET6 &&
	    address_port(address) == port && address_is_any(address);
}

/* How many of the channel's inputs have the same address, each of them by an
 * interface of its own. */
static unsigned
count_own(const struct channel_conf *channel,
    const struct sockaddr_storage *address)
{
	unsigned count = 0;
	size_t i;

	for (i = 0; i < channel->inputs; i++)
		count += address_compare(&channel->listen[i].address,
		    address) == 0;
	return count;
}

/* How many of any IPv6 address may get IPv4's as well; /proc does not say
 * which do.  The daemon's do not. */
static unsigned
count_both(const struct doctor *doctor, const struct sockets *v6,
    unsigned port)
{
	const struct channel_conf *channel;
	const struct bound *each;
	unsigned count = 0, own = 0;
	size_t i, j;

	for (each = v6->bound; each < v6->bound + v6->count; each++)
		count += each->port == port &&
		    strspn(each->hex, "0") == strlen(each->hex);
	for (i = 0; i < doctor->conf->channels; i++) {
		channel = &doctor->conf->channel[i];
		for (j = 0; j < channel->inputs; j++)
			own += is_any_v6(&channel->listen[j].address, port) &&
			    has_socket(doctor, channel);
	}
	return count - MIN_OF(count, own);
}

static void
look_at_port(struct doctor *doctor, const struct channel_conf *channel,
    const struct sockaddr_storage *address, const struct sockets *v4,
    const struct sockets *v6)
{
	bool group = udp_is_group(address), is_v6 = address->ss_family ==
	    AF_INET6;
	unsigned own = has_socket(doctor, channel) ?
	    count_own(channel, address) : 0, both = is_v6 ? 0 :
	    count_both(doctor, v6, address_port(address));
	unsigned found = is_v6 ? count_in(v6, address) :
	    count_in(v4, address) + count_mapped(v6, address);

	found -= MIN_OF(found, own);
	doctor_mend(doctor, "ss -ulpn 'sport = :%u' (who), and end one of "
	    "them, or another listen.port", address_port(address));
	if (found == 0 && both > 0 && !group)
		doctor_say(doctor, DOCTOR_WARN, channel->name, "%u sockets of "
		    "any IPv6 address have port %u, and may take what comes "
		    "by IPv4", both, address_port(address));
	else if (found == 0)
		doctor_say(doctor, DOCTOR_OK, channel->name, "nobody else has "
		    "port %u", address_port(address));
	else if (group)
		doctor_say(doctor, DOCTOR_OK, channel->name, "%u other "
		    "sockets have port %u: each gets a copy of what comes to "
		    "the group", found, address_port(address));
	else
		doctor_say(doctor, DOCTOR_WARN, channel->name, "%u other "
		    "sockets have port %u%s", found, address_port(address),
		    doctor->facts == NULL ? " (a mcrelayd that runs is one "
		    "of them: then mcrelayctl doctor)" : "");
}

void
doctor_check_port(struct doctor *doctor)
{
	struct sockets v4 = read_sockets(false), v6 = read_sockets(true);
	const struct channel_conf *channel;
	size_t i, j;

	for (i = 0; i < doctor->conf->channels; i++) {
		channel = &doctor->conf->channel[i];
		for (j = 0; j < channel->inputs; j++)
			if (!channel->archives_stream)
				look_at_port(doctor, channel,
				    &channel->listen[j].address, &v4, &v6);
	}
	free(v4.bound);
	free(v6.bound);
}

/*** How full? ***/

static void
look_at_fill(struct doctor *doctor, const char *channel, const char *what,
    const char *key, uint64_t most, uint64_t size)
{
	uint64_t percent = most * 100 / size;
	char most_text[LOOK_SIZE_TEXT], size_text[LOOK_SIZE_TEXT];

	doctor_mend(doctor, "%s with more in the channel, then mcrelayctl "
	    "reload", key);
	doctor_say(doctor, percent >= FULL_PERCENT ? DOCTOR_WARN : DOCTOR_OK,
	    channel, "its %s was filled up to %" PRIu64 " %% (%s of %s)",
	    what, percent, look_size(most, most_text), look_size(size,
	    size_text));
}

void
doctor_check_fill(struct doctor *doctor)
{
	const char *name;
	uint64_t ring, buffer;
	size_t i;

	if (doctor->facts == NULL) {
		doctor_say(doctor, DOCTOR_SKIP, "", "only the running daemon "
		    "knows: mcrelayctl doctor");
		return;
	}
	for (i = 0; i < doctor->conf->channels; i++) {
		name = doctor->conf->channel[i].name;
		ring = facts_of(doctor, name, "ring", "size_bytes");
		buffer = facts_of(doctor, name, "socket", "buffer_bytes");
		if (ring != 0)
			look_at_fill(doctor, name, "ring", "ring_size",
			    facts_ledger(doctor, name,
			    "ring_high_water_bytes"), ring);
		if (buffer != 0)
			look_at_fill(doctor, name, "receive buffer",
			    "listen.receive_buffer", facts_ledger(doctor,
			    name, "socket_high_water_bytes"), buffer);
	}
}

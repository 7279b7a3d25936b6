/* SPDX-License-Identifier: ISC */
/*
 * The doctor's checks of multicast groups: joined, and asked for.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/udp.h"
#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"

static bool
is_v6(const struct listen_config *listen)
{
	return listen->address.ss_family == AF_INET6;
}

/* Whether it joins its group for certain hosts only. */
static bool
is_source_specific(const struct listen_config *listen)
{
	size_t i;

	for (i = 0; i < listen->sources; i++)
		if (listen->source[i].bits != 128)
			return false;
	return listen->sources > 0;
}

/* Calls `look' for each input that has to join a group, with the interface
 * where, "": not known. */
static void
each_group(struct doctor *doctor, void (*look)(struct doctor *doctor,
    const char *channel, const struct listen_config *listen,
    const char *name, void *data), void *data)
{
	const struct channel_conf *channel;
	const struct listen_config *listen;
	char name[IF_NAMESIZE];
	size_t i, j;

	for (i = 0; i < doctor->conf->channels; i++) {
		channel = &doctor->conf->channel[i];
		for (j = 0; j < channel->inputs; j++) {
			listen = &channel->listen[j];
			if (channel->archives_stream ||
			    !udp_is_group(&listen->address))
				continue;
			links_input(listen, name);
			look(doctor, channel->name, listen, name, data);
		}
	}
}

/*** Joined? ***/

/* Of a large table that changes while it is read, a line may be missed: then
 * it is read again. */
#define READ_AGAIN	3U

#define HEX_SIZE	33

/* What the kernel says is joined, and the version of IGMP spoken there. */
struct memberships {
	struct membership {
		char	device[IF_NAMESIZE];
		char	hex[HEX_SIZE];	/* "": only the version */
		int	version;
	}	*each;
	size_t	 count;
	unsigned again;		/* it was read */
};

static struct membership *
add(struct memberships *all, const char *device)
{
	struct membership *each;

	all->each = xgrow(all->each, all->count, sizeof(*all->each));
	each = &all->each[all->count++];
	memset(each, 0, sizeof(*each));
	snprintf(each->device, sizeof(each->device), "%s", device);
	return each;
}

/* A line for each interface, and behind it one for each group there, as a
 * number of the host.  Only a short name has a blank before its colon. */
static void
read_v4(struct memberships *all)
{
	char *text = look_text("/proc/net/igmp"), *line, *save;
	char device[IF_NAMESIZE] = "", hex[HEX_SIZE];
	int version;

	line = text == NULL ? NULL : strtok_r(text, "\n", &save);
	for (; line != NULL; line = strtok_r(NULL, "\n", &save))
		if (line[0] == '\t') {
			if (sscanf(line, "\t\t\t\t%8s", hex) == 1)
				memcpy(add(all, device)->hex, hex,
				    sizeof(hex));
		} else if (sscanf(line, "%*d %15[^: ] : %*d V%d", device,
		    &version) == 2)
			add(all, device)->version = version;
	free(text);
}

static void
read_v6(struct memberships *all)
{
	char *text = look_text("/proc/net/igmp6"), *line, *save;
	char device[IF_NAMESIZE], hex[HEX_SIZE];

	line = text == NULL ? NULL : strtok_r(text, "\n", &save);
	for (; line != NULL; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%*d %15s %32s", device, hex) == 2)
			memcpy(add(all, device)->hex, hex, sizeof(hex));
	free(text);
}

static void
read_memberships(struct memberships *all)
{
	all->count = 0;
	free(all->each);
	all->each = NULL;
	read_v4(all);
	read_v6(all);
}

static bool
has(const struct memberships *all, const char *device, const char *hex)
{
	size_t i;

	for (i = 0; i < all->count; i++)
		if (strcmp(all->each[i].hex, hex) == 0 &&
		    strcmp(all->each[i].device, device) == 0)
			return true;
	return false;
}

static bool
is_joined(struct memberships *all, const struct listen_config *listen,
    const char *device)
{
	const struct sockaddr_in6 *in6 = (const void *)&listen->address;
	const struct sockaddr_in *in = (const void *)&listen->address;
	char hex[HEX_SIZE];
	size_t i;

	if (is_v6(listen))
		for (i = 0; i < sizeof(in6->sin6_addr); i++)
			snprintf(hex + 2 * i, 3, "%02x",
			    in6->sin6_addr.s6_addr[i]);
	else
		snprintf(hex, sizeof(hex), "%08" PRIX32, in->sin_addr.s_addr);
	while (!has(all, device, hex)) {
		if (all->again++ >= READ_AGAIN)
			return false;
		read_memberships(all);
	}
	return true;
}

/* How many interfaces could be meant where none is named. */
static unsigned
candidates(void)
{
	struct if_nameindex *all = if_nameindex(), *each;
	unsigned count = 0;
	int flags;

	for (each = all; each != NULL && each->if_name != NULL; each++) {
		flags = links_flags(each->if_name);
		count += flags != -1 && (flags & IFF_UP) != 0 &&
		    (flags & IFF_MULTICAST) != 0 &&
		    (flags & IFF_LOOPBACK) == 0;
	}
	if (all != NULL)
		if_freenameindex(all);
	return count;
}

/* Whether its socket should be a member now. */
static bool
should_be_member(const struct doctor *doctor, const char *channel)
{
	return facts_of(doctor, channel, "socket", "buffer_bytes") != 0;
}

static void
look_at_group(struct doctor *doctor, const char *channel,
    const struct listen_config *listen, const char *name, void *data)
{
	bool chosen = listen->interface[0] != '\0';

	doctor_mend(doctor, "listen: {interface: NAME} in the channel");
	if (name[0] == '\0')
		doctor_say(doctor, DOCTOR_FAIL, channel, "no route "
		    "leads to it, and no interface is named");
	else if (should_be_member(doctor, channel) &&
	    !is_joined(data, listen, name)) {
		doctor_mend(doctor, "mcrelayctl restart %s; ip maddr show dev "
		    "%s", channel, name);
		doctor_say(doctor, DOCTOR_FAIL, channel, "is not joined "
		    "on %s", name);
	} else if (!chosen && candidates() > 1 && facts_ledger(doctor,
	    channel, "received") == 0)
		doctor_say(doctor, DOCTOR_WARN, channel, "no interface "
		    "is named, and of %u the routes choose %s", candidates(),
		    name);
	else
		doctor_say(doctor, DOCTOR_OK, channel, "%s on %s",
		    should_be_member(doctor, channel) ? "joined" :
		    "to be joined", name);
}

void
doctor_check_group(struct doctor *doctor)
{
	struct memberships all = {NULL, 0, 0};

	read_memberships(&all);
	each_group(doctor, look_at_group, &all);
	free(all.each);
}

/*** Limits. ***/

static void
look_at_limits(struct doctor *doctor, const char *channel,
    const struct listen_config *listen, const char *name ATTR_UNUSED,
    void *data ATTR_UNUSED)
{
	const char *key = is_v6(listen) ? "net/ipv6/mld_max_msf" :
	    "net/ipv4/igmp_max_msf";
	int64_t groups = -1, sources = -1;
	size_t needed = is_source_specific(listen) ?
	    listen->sources : 0;

	/* Each input joins one group, with a socket of its own. */
	if (!is_v6(listen))
		(void)look_number(&groups,
		    "/proc/sys/net/ipv4/igmp_max_memberships");
	(void)look_number(&sources, "/proc/sys/%s", key);
	if (groups == 0) {
		doctor_mend(doctor, "sysctl -w "
		    "net.ipv4.igmp_max_memberships=20");
		doctor_say(doctor, DOCTOR_FAIL, channel,
		    "igmp_max_memberships is 0: no group can be joined");
	} else if (sources >= 0 && (uint64_t)sources < needed) {
		doctor_mend(doctor, "sysctl -w %s=%zu", is_v6(listen) ?
		    "net.ipv6.mld_max_msf" : "net.ipv4.igmp_max_msf", needed);
		doctor_say(doctor, DOCTOR_FAIL, channel, "it has %zu "
		    "sources, and %s allows %" PRId64, needed, strrchr(key,
		    '/') + 1, sources);
	} else
		doctor_say(doctor, DOCTOR_OK, channel, "%zu sources, %"
		    PRId64 " are allowed", needed, sources);
}

void
doctor_check_igmp_limits(struct doctor *doctor)
{
	each_group(doctor, look_at_limits, NULL);
}

/*** Versions. ***/

/* What the kernel was told to speak there; 0: what it likes. */
static int64_t
forced(bool v6, const char *name)
{
	const char *family = v6 ? "ipv6" : "ipv4";
	const char *key = v6 ? "force_mld_version" : "force_igmp_version";
	int64_t all = 0, own = 0;

	(void)look_number(&all, "/proc/sys/net/%s/conf/all/%s", family, key);
	(void)look_number(&own, "/proc/sys/net/%s/conf/%s/%s", family, name,
	    key);
	return MAX_OF(all, own);
}

/* The version that the interface has fallen back to, since some querier
 * speaks no later one; 3: none. */
static int
spoken(const struct memberships *all, const char *device)
{
	size_t i;

	for (i = 0; i < all->count; i++)
		if (all->each[i].version != 0 &&
		    strcmp(all->each[i].device, device) == 0)
			return all->each[i].version;
	return 3;
}

static void
look_at_version(struct doctor *doctor, const char *channel,
    const struct listen_config *listen, const char *name, void *data)
{
	bool v6 = is_v6(listen), specific = is_source_specific(listen);
	const char *protocol = v6 ? "MLD" : "IGMP";
	int64_t wanted = forced(v6, name), newest = v6 ? 2 : 3;
	int version = v6 ? 2 : spoken(data, name);

	if (wanted != 0 && wanted < newest) {
		doctor_mend(doctor, "sysctl -w net/%s/conf/%s/%s=0 (and of "
		    "all)", v6 ? "ipv6" : "ipv4", name, v6 ?
		    "force_mld_version" : "force_igmp_version");
		doctor_say(doctor, specific ? DOCTOR_FAIL : DOCTOR_WARN,
		    channel, "%s: %s version %" PRId64 " is forced%s",
		    name, protocol, wanted, specific ? ", which knows no "
		    "sources" : "");
	} else if (version < newest) {
		doctor_mend(doctor, "set the querier of that network to "
		    "IGMPv3");
		doctor_say(doctor, specific ? DOCTOR_FAIL : DOCTOR_OK,
		    channel, "%s: a querier speaks IGMP version %d%s",
		    name, version, specific ? ", which knows no sources" :
		    "");
	} else
		doctor_say(doctor, DOCTOR_OK, channel, "%s: %s version "
		    "%" PRId64, name, protocol, newest);
}

void
doctor_check_igmp_version(struct doctor *doctor)
{
	struct memberships all = {NULL, 0, 0};

	read_v4(&all);
	each_group(doctor, look_at_version, &all);
	free(all.each);
}

/*** Queriers. ***/

static void
look_at_querier(struct doctor *doctor, const json_t *querier)
{
	const char *name = json_string_value(json_object_get(querier,
	    "interface"));
	const char *protocol = json_string_value(json_object_get(querier,
	    "protocol"));
	json_int_t heard_s = json_integer_value(json_object_get(querier,
	    "heard_s"));

	if (name == NULL || protocol == NULL)
		return;
	doctor_mend(doctor, "turn on the %s querier of one switch or router "
	    "there", protocol);
	if (json_is_true(json_object_get(querier, "missing")))
		doctor_say(doctor, DOCTOR_WARN, name, "no %s query came in "
		    "for minutes", protocol);
	else if (heard_s < 0)
		doctor_say(doctor, DOCTOR_SKIP, name, "no %s query has come "
		    "in yet: ask again in five minutes", protocol);
	else
		doctor_say(doctor, DOCTOR_OK, name, "an %s query came in %"
		    JSON_INTEGER_FORMAT " s ago", protocol, heard_s);
}

void
doctor_check_querier(struct doctor *doctor)
{
	const json_t *queriers = json_object_get(doctor->facts, "queriers");
	size_t i;

	if (doctor->facts == NULL)
		doctor_say(doctor, DOCTOR_SKIP, "", "only the running daemon "
		    "hears them: mcrelayctl doctor");
	else if (!json_is_true(json_object_get(doctor->facts,
	    "hears_queries")))
		doctor_say(doctor, DOCTOR_SKIP, "", "mcrelayd may not hear "
		    "them without CAP_NET_RAW");
	for (i = 0; i < json_array_size(queriers); i++)
		look_at_querier(doctor, json_array_get(queriers, i));
}

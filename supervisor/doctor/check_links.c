/* SPDX-License-Identifier: ISC */
/*
 * The doctor's checks of interfaces.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/udp.h"
#include "common/util.h"
#include "supervisor/conf/address.h"
#include "supervisor/doctor/doctor_priv.h"

/*** Is it there? ***/

static void
look_at_interface(struct doctor *doctor, const struct link_use *use)
{
	int flags = links_flags(use->name);

	if (flags == -1) {
		doctor_mend(doctor, "ip link (what interfaces there are), and "
		    "the right name in the configuration");
		doctor_say(doctor, DOCTOR_FAIL, use->name, "there is no such "
		    "interface");
	} else if ((flags & IFF_UP) == 0) {
		doctor_mend(doctor, "ip link set %s up", use->name);
		doctor_say(doctor, DOCTOR_FAIL, use->name, "is not up");
	} else if ((flags & IFF_RUNNING) == 0) {
		doctor_mend(doctor, "look at cable, switch and the other end");
		doctor_say(doctor, DOCTOR_FAIL, use->name, "has no carrier");
	} else if (use->group && !use->loopback &&
	    (flags & IFF_MULTICAST) == 0) {
		doctor_mend(doctor, "ip link set %s multicast on", use->name);
		doctor_say(doctor, DOCTOR_FAIL, use->name, "is up, but does "
		    "no multicast");
	} else
		doctor_say(doctor, DOCTOR_OK, use->name, "is up");
}

/* An input that no interface is known for. */
static void
look_at_homeless(struct doctor *doctor, const struct channel_conf *channel,
    const struct listen_config *listen)
{
	char name[IF_NAMESIZE], address[ADDRESS_TEXT_SIZE];

	links_input(listen, name);
	if (name[0] != '\0' || address_is_any(&listen->address))
		return;
	format_address((const void *)&listen->address, address);
	if (udp_is_group(&listen->address)) {
		doctor_mend(doctor, "listen: {interface: NAME}");
		doctor_say(doctor, DOCTOR_FAIL, channel->name, "no route "
		    "leads to %s, which says where to join it", address);
		return;
	}
	doctor_mend(doctor, "ip addr (what addresses there are)");
	doctor_say(doctor, DOCTOR_FAIL, channel->name, "no interface has the "
	    "address of %s", address);
}

void
doctor_check_interface(struct doctor *doctor)
{
	struct link_use *use;
	const struct channel_conf *channel;
	size_t count = links_used(doctor->conf, &use), i, j;

	for (i = 0; i < count; i++)
		look_at_interface(doctor, &use[i]);
	free(use);
	for (i = 0; i < doctor->conf->channels; i++) {
		channel = &doctor->conf->channel[i];
		for (j = 0; j < channel->inputs; j++)
			if (!channel->archives_stream)
				look_at_homeless(doctor, channel,
				    &channel->listen[j]);
	}
	if (count == 0)
		doctor_say(doctor, DOCTOR_WARN, "", "no interface that the "
		    "configuration uses is up");
}

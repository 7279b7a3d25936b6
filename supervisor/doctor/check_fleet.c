/* SPDX-License-Identifier: ISC */
/*
 * The doctor's check of hosts that take turns: what the configuration says of
 * this one, and what the daemon has found out of the bucket and of others.
 * Whether servers can be reached is check_forward.c's.
 */
#include <string.h>

#include "common/lease.h"
#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"

#define BUCKET		"bucket"
/* Drained for longer it may be forgotten. */
#define DRAINED_S	3600U

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

/*** The bucket. ***/

static void
look_at_replicas(struct doctor *doctor, unsigned long long has)
{
	const struct conf *conf = doctor->conf;

	if (has == conf->forward.replicas)
		doctor_say(doctor, DOCTOR_OK, BUCKET, "%s, %llu replicas",
		    conf->fleet_bucket, has);
	else {
		doctor_mend(doctor, "nats stream edit KV_%s --replicas=%u",
		    conf->fleet_bucket, conf->forward.replicas);
		doctor_say(doctor, DOCTOR_WARN, BUCKET, "%s has %llu replicas, "
		    "not %u as configured: it was made before, or by another "
		    "host", conf->fleet_bucket, has, conf->forward.replicas);
	}
}

static void
look_at_bucket(struct doctor *doctor, const json_t *fleet)
{
	const struct conf *conf = doctor->conf;
	const uint64_t forgets = facts_count(fleet, "forgets_ms");

	/* The daemon has it open, or had. */
	if (facts_count(fleet, "replicas") == 0) {
		doctor_say(doctor, DOCTOR_FAIL, BUCKET, "%s could not be "
		    "opened or made: see the log, and `forward'",
		    conf->fleet_bucket);
		return;
	}
	look_at_replicas(doctor, facts_count(fleet, "replicas"));
	if (forgets != 0)
		doctor_say(doctor, DOCTOR_FAIL, BUCKET, "%s forgets after "
		    "%.1f s, and who has a channel with it: two may relay; "
		    "give it no limit of age", conf->fleet_bucket,
		    (double)forgets / 1000);
}

/*** This host. ***/

static void
look_at_drained(struct doctor *doctor, const json_t *fleet)
{
	const uint64_t since_s = facts_count(fleet, "drained_s");

	if (!json_is_true(json_object_get(fleet, "drained"))) {
		doctor_say(doctor, DOCTOR_OK, doctor->conf->host,
		    "is not drained");
		return;
	}
	doctor_mend(doctor, "mcrelayctl undrain");
	doctor_say(doctor, since_s > DRAINED_S ? DOCTOR_FAIL : DOCTOR_WARN,
	    doctor->conf->host, "has been drained for %llu min: it takes no "
	    "channel that another could have",
	    (unsigned long long)since_s / 60);
}

/*** Channels. ***/

/* Renewals are a sixth of the lease apart. */
static void
look_at_time(struct doctor *doctor, const char *name, uint64_t slow_ms)
{
	const uint64_t lease_ms = doctor->conf->lease_ns / NS_PER_MS;

	if (slow_ms > LEASE_RENEW(lease_ms))
		doctor_say(doctor, DOCTOR_WARN, name, "servers took up to "
		    "%llu ms to renew its lease, which is renewed each %llu: "
		    "make `lease' longer", (unsigned long long)slow_ms,
		    (unsigned long long)LEASE_RENEW(lease_ms));
}

static void
look_at_turn(struct doctor *doctor, const char *name, const json_t *lease)
{
	const uint64_t seen_ms = facts_count(lease, "seen_ms");
	const uint64_t standbys = facts_count(lease, "standbys");
	const char *holder = text_of(lease, "holder");

	if (seen_ms > LEASE_WAIT(doctor->conf->lease_ns) / NS_PER_MS)
		doctor_say(doctor, DOCTOR_FAIL, name, "no server has told for "
		    "%llu s whose turn it is: it is not relayed here",
		    (unsigned long long)seen_ms / 1000);
	else if (strcmp(text_of(lease, "role"), "active") != 0)
		doctor_say(doctor, *holder != '\0' ? DOCTOR_OK : DOCTOR_WARN,
		    name, *holder != '\0' ? "host %s has it" :
		    "no host has it%s", holder);
	else if (standbys == 0)
		doctor_say(doctor, DOCTOR_WARN, name, "this host has it, and "
		    "no other would follow");
	else
		doctor_say(doctor, DOCTOR_OK, name, "this host has it, and "
		    "%llu would follow", (unsigned long long)standbys);
}

static void
look_at_channel(struct doctor *doctor, const struct channel_conf *channel)
{
	const json_t *lease = json_object_get(facts_status(doctor,
	    channel->name), "lease");

	if (lease == NULL) {
		doctor_say(doctor, DOCTOR_WARN, channel->name, "the daemon "
		    "does not know that hosts take turns at it: mcrelayctl "
		    "reload");
		return;
	}
	if (json_is_true(json_object_get(lease, "namesake")))
		doctor_say(doctor, DOCTOR_FAIL, channel->name, "another host "
		    "calls itself %s, too: give each a `host' of its own",
		    doctor->conf->host);
	look_at_turn(doctor, channel->name, lease);
	look_at_time(doctor, channel->name, facts_count(lease, "slow_ms"));
}

static void
look_at_channels(struct doctor *doctor)
{
	const struct conf *conf = doctor->conf;
	size_t i;

	for (i = 0; i < conf->channels; i++)
		if (conf->channel[i].leased)
			look_at_channel(doctor, &conf->channel[i]);
}

void
doctor_check_fleet(struct doctor *doctor)
{
	const struct conf *conf = doctor->conf;
	const json_t *status = json_object_get(doctor->facts, "status");
	const json_t *fleet = json_object_get(status, "fleet");

	if (conf->lease_ns == 0)
		doctor_say(doctor, DOCTOR_OK, "", "none is configured");
	else if (!conf_has_leases(conf))
		doctor_say(doctor, DOCTOR_WARN, conf->host, "is in the `hosts' "
		    "of no channel that has another: it takes no turns (is "
		    "`host' right?)");
	else if (status == NULL)
		doctor_say(doctor, DOCTOR_SKIP, conf->host, "no daemon to be "
		    "asked");
	else {
		look_at_bucket(doctor, fleet);
		look_at_drained(doctor, fleet);
		look_at_channels(doctor);
	}
}

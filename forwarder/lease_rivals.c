/* SPDX-License-Identifier: ISC */
/*
 * Other hosts that would have a channel: each says so by a key of its own.
 * Called in the channel's thread of the process that asks for leases.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "forwarder/lease_priv.h"

#define KEY_SIZE	80
#define TEXT_SIZE	96

static void
key_of(const struct lease *l, unsigned rank, char key[static KEY_SIZE])
{
	snprintf(key, KEY_SIZE, "%s.%u", l->spec->name, rank);
}

bool
lease_show(struct lease *l)
{
	uint64_t now = clock_boottime_ns();
	char key[KEY_SIZE];

	if (!lease_open(l))
		return false;
	key_of(l, l->spec->rank, key);
	if (kvStore_PutString(NULL, l->store, key, spec.host) != NATS_OK)
		return false;
	l->shown_ns = now;
	return true;
}

void
lease_show_ourselves(struct lease *l)
{
	if (clock_boottime_ns() - l->shown_ns >= LEASE_RENEW(spec.lease_ns))
		(void)lease_show(l);
}

static bool
look_at_rival(struct lease *l, unsigned rank)
{
	struct rival *rival = &l->rival[rank];
	char key[KEY_SIZE], value[VALUE_SIZE];
	uint64_t now, revision;
	natsStatus status;

	key_of(l, rank, key);
	status = lease_get(l, key, value, &revision);
	if (status != NATS_OK)
		return status == NATS_NOT_FOUND;
	now = clock_boottime_ns();
	/* What it was when we first looked may be old. */
	if (rival->revision != 0 && revision != rival->revision) {
		if (now - rival->changed_ns > spec.lease_ns)
			rival->first_ns = now;
		rival->changed_ns = now;
	}
	rival->revision = revision;
	return true;
}

bool
lease_look_at_rivals(struct lease *l)
{
	bool known = l->store != NULL;
	unsigned i;

	for (i = 0; i < l->spec->hosts; i++)
		if (i != l->spec->rank && l->store != NULL)
			known &= look_at_rival(l, i);
	return known;
}

static bool
is_there(const struct rival *rival, uint64_t now)
{
	return rival->changed_ns != 0 &&
	    now - rival->changed_ns < spec.lease_ns;
}

unsigned
lease_rivals(const struct lease *l)
{
	uint64_t now = clock_boottime_ns();
	unsigned i, there = 0;

	for (i = 0; i < l->spec->hosts; i++)
		there += i != l->spec->rank && is_there(&l->rival[i], now);
	return there;
}

const char *
lease_find_rival(const struct lease *l, bool before_us, uint64_t steady_ns)
{
	uint64_t now = clock_boottime_ns();
	const struct rival *rival;
	unsigned i;

	for (i = 0; i < l->spec->hosts; i++) {
		rival = &l->rival[i];
		if (i == l->spec->rank && before_us)
			break;
		if (i != l->spec->rank && is_there(rival, now) &&
		    now - rival->first_ns >= steady_ns)
			return l->spec->host[i];
	}
	return NULL;
}

static unsigned
rank_of(const struct lease *l, const char *host)
{
	unsigned i;

	for (i = 0; i + 1 < l->spec->hosts; i++)
		if (strcmp(l->spec->host[i], host) == 0)
			break;
	return i;
}

void
lease_forget_rival(struct lease *l, const char *host)
{
	memset(&l->rival[rank_of(l, host)], 0, sizeof(l->rival[0]));
}

bool
lease_say_ready(struct lease *l, uint64_t number)
{
	char key[KEY_SIZE], text[TEXT_SIZE];

	if (!lease_open(l))
		return false;
	key_of(l, l->spec->rank, key);
	snprintf(text, sizeof(text), "%s %" PRIu64, spec.host, number);
	return kvStore_PutString(NULL, l->store, key, text) == NATS_OK;
}

bool
lease_is_ready(struct lease *l, const char *host, uint64_t number)
{
	char key[KEY_SIZE], value[VALUE_SIZE];
	uint64_t said = 0, revision;

	key_of(l, rank_of(l, host), key);
	if (l->store == NULL ||
	    lease_get(l, key, value, &revision) != NATS_OK)
		return false;
	(void)sscanf(value, "%*s %" SCNu64, &said);
	return said == number;
}

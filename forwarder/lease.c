/* SPDX-License-Identifier: ISC */
/*
 * Who of several hosts relays a channel: asks for it, renews it, gives it back,
 * by a key of a bucket on the servers.  common/lease.h has the arithmetic.
 *
 * A thread for each channel, since what libnats is asked waits for an answer.
 * It has no state that its end would harm: what is allowed is a time in the
 * page, and another process of this daemon finds its key by its `instance'.
 * What is sent, and arrives later than anybody waits for it, names a revision
 * like all else.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/lease.h"
#include "common/log.h"
#include "common/util.h"
#include "forwarder/forwarder.h"

/* "held HOST INSTANCE -", "free HOST INSTANCE TO". */
#define VALUE_SIZE	320
#define KEY_SIZE	80
/* A thread that does not come round for so long hangs. */
#define HANG_NS		(60 * NS_PER_S)
/* Of a host that was away, before it is given the channel: so long it must
 * have been there again. */
#define STEADY_NS	(2 * spec.lease_ns)

/* Another host that would have the channel. */
struct rival {
	uint64_t	revision;	/* of its own key; 0: never seen */
	uint64_t	changed_ns;
	uint64_t	first_ns;	/* there since then */
};

struct lease {
	const struct lease_spec	*spec;
	struct lease_slot	*slot;
	jsCtx			*js;
	kvStore			*store;		/* NULL: not open */
	bool			 known;
	bool			 held;
	/* As last seen: the key, whether this daemon has it, to whom it was
	 * given, since when it has been so. */
	uint64_t		 revision;	/* 0: there is no key */
	bool			 ours;
	char			 to[CHANNEL_NAME_MAX + 1];
	uint64_t		 since_ns;
	uint64_t		 shown_ns;	/* that we are here */
	struct rival		 rival[HOSTS_MAX];
	struct log_limit	 limit;
	_Atomic uint64_t	 beat_ns;
};

struct lease_page	*lease_page;

static struct lease	 lease[LEASES_MAX];

static void
store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static uint64_t
load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void
pause_ns(uint64_t ns)
{
	struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_S),
	    .tv_nsec = (long)(ns % NS_PER_S)};

	(void)nanosleep(&time, NULL);
}

static bool
is_wanted(const struct lease *l)
{
	return load(&l->slot->wanted_ns) > clock_boottime_ns();
}

/*** The bucket. ***/

static natsStatus
make_bucket(struct lease *l)
{
	kvConfig config;
	natsStatus status = kvConfig_Init(&config);

	config.Bucket = spec.bucket;
	config.Description = "who relays which channel (mcrelay)";
	config.History = 1;
	config.StorageType = js_FileStorage;
	config.Replicas = (int)spec.replicas;
	return status != NATS_OK ? status :
	    js_CreateKeyValue(&l->store, l->js, &config);
}

static bool
open_bucket(struct lease *l)
{
	jsOptions options;
	natsStatus status = NATS_OK;

	if (l->store != NULL)
		return true;
	if (l->js == NULL) {
		status = jsOptions_Init(&options);
		options.Wait = (int64_t)(spec.lease_ns / 3 / NS_PER_MS);
		if (status == NATS_OK)
			status = natsConnection_JetStream(&l->js, link_get(),
			    &options);
	}
	if (status == NATS_OK)
		status = js_KeyValue(&l->store, l->js, spec.bucket);
	if (status == NATS_NOT_FOUND)
		status = make_bucket(l);
	if (status == NATS_OK)
		return true;
	l->store = NULL;
	log_limited(&l->limit, "%s: bucket %s cannot be opened (%s): tried "
	    "again, and this host relays nothing that others may",
	    l->spec->name, spec.bucket, natsStatus_GetText(status));
	return false;
}

static void
note_holder(const struct lease *l, const char *word, const char *host)
{
	uint64_t holder = LEASE_NOBODY;
	unsigned i;

	for (i = 0; i < l->spec->hosts && strcmp(word, "held") == 0; i++)
		if (strcmp(l->spec->host[i], host) == 0)
			holder = i;
	store(&l->slot->holder, holder);
}

static void
read_value(struct lease *l, kvEntry *entry)
{
	char word[8] = "", host[64] = "", instance[128] = "";

	l->to[0] = '\0';
	if (entry != NULL)
		(void)sscanf(kvEntry_ValueString(entry), "%7s %63s %127s %63s",
		    word, host, instance, l->to);
	l->ours = strcmp(word, "held") == 0 &&
	    strcmp(instance, spec.instance) == 0;
	note_holder(l, word, host);
}

/* False: nobody answers. */
static bool
look(struct lease *l)
{
	kvEntry *entry = NULL;
	natsStatus status;
	uint64_t revision, now;

	if (!open_bucket(l))
		return false;
	status = kvStore_Get(&entry, l->store, l->spec->name);
	if (status != NATS_OK && status != NATS_NOT_FOUND) {
		kvStore_Destroy(l->store);
		l->store = NULL;
		log_limited(&l->limit, "%s: who has it cannot be found out: "
		    "%s", l->spec->name, natsStatus_GetText(status));
		return false;
	}
	/* After the answer: it was so earlier. */
	now = clock_boottime_ns();
	revision = status == NATS_OK ? kvEntry_Revision(entry) : 0;
	if (!l->known || revision != l->revision)
		l->since_ns = now;
	l->known = true;
	l->revision = revision;
	read_value(l, status == NATS_OK ? entry : NULL);
	store(&l->slot->seen_ns, now);
	kvEntry_Destroy(entry);
	return true;
}

/* Stored only if nobody has changed the key since the revision that we know.
 * False: it was not, or nobody knows. */
static bool
say(struct lease *l, const char *word, const char *to)
{
	char value[VALUE_SIZE];
	uint64_t revision = 0;
	natsStatus status;
	int size;

	if (!open_bucket(l))
		return false;
	size = snprintf(value, sizeof(value), "%s %s %s %s", word, spec.host,
	    spec.instance, to);
	status = l->revision == 0 ?
	    kvStore_Create(&revision, l->store, l->spec->name, value, size) :
	    kvStore_Update(&revision, l->store, l->spec->name, value, size,
	    l->revision);
	if (status != NATS_OK)
		return false;
	l->revision = revision;
	l->since_ns = clock_boottime_ns();
	store(&l->slot->seen_ns, l->since_ns);
	note_holder(l, word, spec.host);
	return true;
}

/*** Other hosts. ***/

static void
key_of(const struct lease *l, unsigned rank, char key[static KEY_SIZE])
{
	snprintf(key, KEY_SIZE, "%s.%u", l->spec->name, rank);
}

/* So that whoever has the channel can give it to us. */
static void
show_ourselves(struct lease *l)
{
	uint64_t now = clock_boottime_ns();
	char key[KEY_SIZE];

	if (now - l->shown_ns < LEASE_RENEW(spec.lease_ns) || !open_bucket(l))
		return;
	key_of(l, l->spec->rank, key);
	if (kvStore_PutString(NULL, l->store, key, spec.host) == NATS_OK)
		l->shown_ns = now;
}

static void
look_at_rival(struct lease *l, unsigned rank)
{
	struct rival *rival = &l->rival[rank];
	uint64_t now, revision;
	kvEntry *entry = NULL;
	char key[KEY_SIZE];

	key_of(l, rank, key);
	if (kvStore_Get(&entry, l->store, key) != NATS_OK)
		return;
	now = clock_boottime_ns();
	revision = kvEntry_Revision(entry);
	kvEntry_Destroy(entry);
	/* What it was when we first looked may be old. */
	if (rival->revision != 0 && revision != rival->revision) {
		if (now - rival->changed_ns > spec.lease_ns)
			rival->first_ns = now;
		rival->changed_ns = now;
	}
	rival->revision = revision;
}

/* The first host that would have it, was seen lately, and has been there for so
 * long; of those before us, or of all.  NULL: none. */
static const char *
find_rival(const struct lease *l, bool before_us, uint64_t steady_ns)
{
	uint64_t now = clock_boottime_ns();
	const struct rival *rival;
	unsigned i;

	for (i = 0; i < l->spec->hosts; i++) {
		rival = &l->rival[i];
		if (i == l->spec->rank && before_us)
			break;
		if (i != l->spec->rank && rival->changed_ns != 0 &&
		    now - rival->changed_ns < spec.lease_ns &&
		    now - rival->first_ns >= steady_ns)
			return l->spec->host[i];
	}
	return NULL;
}

/*** To have it, or not. ***/

/* What was sent at that moment is confirmed. */
static void
allow(struct lease *l, uint64_t sent_ns)
{
	store(&l->slot->until_ns, sent_ns + spec.lease_ns);
}

static void
take(struct lease *l)
{
	uint64_t sent_ns = clock_boottime_ns();
	bool again = l->ours;

	if (!say(l, "held", "-"))
		return;
	l->held = true;
	allow(l, sent_ns);
	if (again)
		return;
	memset(l->rival, 0, sizeof(l->rival));
	store(&l->slot->taken, load(&l->slot->taken) + 1);
	log_info("%s: taken, as %s", l->spec->name, spec.host);
}

/* Silent first, then said. */
static void
give_back(struct lease *l, const char *to)
{
	uint64_t until = load(&l->slot->until_ns), rounds;

	/* Partner: on_round() in supervisor/fleet.c.  A round that is under
	 * way may have the time from before; one that begins after this has
	 * not. */
	atomic_store_explicit(&l->slot->until_ns, 0, memory_order_seq_cst);
	rounds = atomic_load_explicit(&lease_page->rounds,
	    memory_order_seq_cst);
	while (atomic_load_explicit(&lease_page->rounds,
	    memory_order_acquire) < rounds + 2 && clock_boottime_ns() < until) {
		store(&l->beat_ns, clock_boottime_ns());
		pause_ns(10 * NS_PER_MS);
	}
	pause_ns(LEASE_MARGIN(spec.lease_ns));
	l->held = false;
	if (say(l, "free", to != NULL ? to : "-"))
		log_info("%s: given %s%s", l->spec->name, to != NULL ? "to " :
		    "away", to != NULL ? to : "");
	/* Else it is still ours, or soon is nobody's. */
	l->shown_ns = 0;
}

static void
hold(struct lease *l)
{
	uint64_t sent_ns = clock_boottime_ns();
	const char *to;
	unsigned i;

	if (!is_wanted(l)) {
		give_back(l, find_rival(l, false, 0));
		return;
	}
	if (say(l, "held", "-"))
		allow(l, sent_ns);
	else if (!look(l))
		return;
	else if (!l->ours) {
		log_warnx("%s: another host has taken it: this one could not "
		    "renew it in time", l->spec->name);
		store(&l->slot->until_ns, 0);
		l->held = false;
		return;
	}
	for (i = 0; i < l->spec->hosts; i++)
		if (i != l->spec->rank && l->store != NULL)
			look_at_rival(l, i);
	if ((to = find_rival(l, true, STEADY_NS)) != NULL)
		give_back(l, to);
}

static void
stand_by(struct lease *l)
{
	uint64_t wait = LEASE_WAIT(spec.lease_ns) +
	    l->spec->rank * (LEASE_LOOK(spec.lease_ns) / 8);

	if (!look(l))
		return;
	if (!is_wanted(l)) {
		/* A process before us had it, or we could not say so. */
		if (l->ours)
			give_back(l, NULL);
		return;
	}
	show_ourselves(l);
	if (l->ours || strcmp(l->to, spec.host) == 0 ||
	    clock_boottime_ns() - l->since_ns >= wait)
		take(l);
}

static void *
run(void *argument)
{
	struct lease *l = argument;

	for (;;) {
		store(&l->beat_ns, clock_boottime_ns());
		if (l->held)
			hold(l);
		else
			stand_by(l);
		pause_ns(l->held ? LEASE_RENEW(spec.lease_ns) :
		    LEASE_LOOK(spec.lease_ns));
	}
	return NULL;
}

bool
leases_get_anywhere(void)
{
	uint64_t now = clock_boottime_ns();
	unsigned i;

	for (i = 0; i < spec.leases; i++)
		if (now - load(&lease[i].beat_ns) > HANG_NS + spec.lease_ns)
			return false;
	return true;
}

void
leases_start(void)
{
	pthread_t thread;
	unsigned i;

	for (i = 0; i < spec.leases; i++) {
		lease[i].spec = &spec.lease[i];
		lease[i].slot = &lease_page->slot[i];
		store(&lease[i].beat_ns, clock_boottime_ns());
		errno = pthread_create(&thread, NULL, run, &lease[i]);
		if (errno != 0)
			fatal("no thread for %s", spec.lease[i].name);
		(void)pthread_detach(thread);
	}
}

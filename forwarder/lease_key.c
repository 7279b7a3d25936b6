/* SPDX-License-Identifier: ISC */
/*
 * The bucket of leases, and a channel's key in it.  Called in the channel's
 * thread of the process that asks for leases.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forwarder/lease_priv.h"

#define SUBJECT_SIZE	256

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

/* Whoever has made it may have had other ideas. */
static void
note_bucket(const struct lease *l)
{
	kvStatus *bucket = NULL;

	if (kvStore_Status(&bucket, l->store) != NATS_OK)
		return;
	store(&lease_page->replicas, (uint64_t)kvStatus_Replicas(bucket));
	store(&lease_page->forgets_ns, (uint64_t)kvStatus_TTL(bucket));
	kvStatus_Destroy(bucket);
}

bool
lease_open(struct lease *l)
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
	if (status == NATS_OK) {
		note_bucket(l);
		return true;
	}
	l->store = NULL;
	log_limited(&l->limit, "%s: bucket %s cannot be opened (%s): tried "
	    "again, and this host relays nothing that others may",
	    l->spec->name, spec.bucket, link_why(status));
	return false;
}

/* A key is the last message of a subject (ADR-8 of NATS). */
natsStatus
lease_get(struct lease *l, const char *key, char value[static VALUE_SIZE],
    uint64_t *revision)
{
	char stream[SUBJECT_SIZE], subject[SUBJECT_SIZE];
	natsMsg *message = NULL;
	jsErrCode error = 0;
	natsStatus status;
	size_t size;

	snprintf(stream, sizeof(stream), "KV_%s", spec.bucket);
	snprintf(subject, sizeof(subject), "$KV.%s.%s", spec.bucket, key);
	status = js_GetLastMsg(&message, l->js, stream, subject, NULL, &error);
	if (status == NATS_NOT_FOUND && error == JSStreamNotFoundErr)
		return NATS_NO_RESPONDERS;
	if (status != NATS_OK)
		return status;
	size = MIN_OF((size_t)natsMsg_GetDataLength(message), VALUE_SIZE - 1);
	if (size > 0)
		memcpy(value, natsMsg_GetData(message), size);
	value[size] = '\0';
	*revision = natsMsg_GetSequence(message);
	natsMsg_Destroy(message);
	return NATS_OK;
}

static void
note_holder(const struct lease *l, bool held, const char *host)
{
	uint64_t holder = LEASE_NOBODY;
	unsigned i;

	for (i = 0; i < l->spec->hosts && held; i++)
		if (strcmp(l->spec->host[i], host) == 0)
			holder = i;
	store(&l->slot->holder, holder);
}

static uint64_t
read_digits(const char *text, size_t digits)
{
	char one[CONTENT_DIGITS + 1];

	memcpy(one, text, digits);
	one[digits] = '\0';
	return strtoull(one, NULL, 16);
}

static void
read_mark(const char *text, struct turn_mark *mark)
{
	size_t length = strlen(text);

	mark->count = 0;
	for (; length >= ENTRY_DIGITS && mark->count < TURN_MARK_MAX;
	    length -= ENTRY_DIGITS, text += ENTRY_DIGITS) {
		mark->source[mark->count] = (uint32_t)read_digits(text,
		    SOURCE_DIGITS);
		mark->content[mark->count++] = read_digits(
		    text + SOURCE_DIGITS, CONTENT_DIGITS);
	}
}

static void
read_value(struct lease *l, const char *text)
{
	char word[8] = "", instance[128] = "", mark[MARK_SIZE] = "";
	struct lease_value *value = &l->value;

	memset(value, 0, sizeof(*value));
	(void)sscanf(text, "%7s %63s %127s %63s %" SCNu64 " %1536s", word,
	    value->host, instance, value->to, &value->number, mark);
	value->held = strcmp(word, "held") == 0;
	read_mark(mark, &value->mark);
	l->ours = value->held && strcmp(instance, spec.instance) == 0;
	note_holder(l, value->held, value->host);
}
_Static_assert(MARK_SIZE == 1536 + 1, "as in the format");
_Static_assert(CHANNEL_NAME_MAX == 63, "likewise");

/* It renews what has our name and is not ours: two hosts have one. */
static void
note_namesake(struct lease *l, uint64_t now)
{
	if (!l->value.held || l->ours || strcmp(l->value.host, spec.host) != 0)
		return;
	store(&l->slot->namesake_ns, now);
	log_limited(&l->namesakes, "%s: another daemon has it by the name of "
	    "this host, %s: two cannot take turns by one: give each a `host'",
	    l->spec->name, spec.host);
}

bool
lease_look(struct lease *l)
{
	uint64_t revision = 0, now;
	char value[VALUE_SIZE] = "";
	natsStatus status;
	bool renewed;

	if (!lease_open(l))
		return false;
	status = lease_get(l, l->spec->name, value, &revision);
	if (status != NATS_OK && status != NATS_NOT_FOUND) {
		kvStore_Destroy(l->store);
		l->store = NULL;
		log_limited(&l->limit, "%s: who has it cannot be found out: "
		    "%s", l->spec->name, link_why(status));
		return false;
	}
	/* After the answer: it was so earlier. */
	now = clock_boottime_ns();
	renewed = l->known && revision != l->revision;
	if (!l->known || renewed)
		l->since_ns = now;
	l->known = true;
	l->revision = revision;
	read_value(l, value);
	if (renewed)
		note_namesake(l, now);
	store(&l->slot->seen_ns, now);
	return true;
}

/* Returns its length. */
static int
compose(char value[static VALUE_SIZE], bool held, const char *to,
    uint64_t number, const struct turn_mark *mark)
{
	uint32_t i, count = mark == NULL || mark->count == TURN_MARK_ALL ? 0 :
	    MIN_OF(mark->count, TURN_MARK_MAX);
	int size = snprintf(value, VALUE_SIZE - MARK_SIZE,
	    "%s %s %s %s %" PRIu64 " ", held ? "held" : "free", spec.host,
	    spec.instance, to, number);

	for (i = 0; i < count; i++)
		size += snprintf(value + size, ENTRY_DIGITS + 1,
		    "%08" PRIx32 "%016" PRIx64, mark->source[i],
		    mark->content[i]);
	return size;
}

bool
lease_say(struct lease *l, bool held, const char *to, uint64_t number,
    const struct turn_mark *mark)
{
	uint64_t revision = 0, sent_ns = clock_boottime_ns(), slow;
	char value[VALUE_SIZE];
	natsStatus status;
	int size;

	if (!lease_open(l))
		return false;
	size = compose(value, held, to, number, mark);
	status = l->revision == 0 ? kvStore_Create(&revision, l->store,
	    l->spec->name, value, size) : kvStore_Update(&revision, l->store,
	    l->spec->name, value, size, l->revision);
	if (status != NATS_OK)
		return false;
	l->revision = revision;
	l->since_ns = clock_boottime_ns();
	/* What was slow once is known for some renewals. */
	slow = load(&l->slot->slow_ns);
	store(&l->slot->slow_ns, MAX_OF(l->since_ns - sent_ns,
	    slow - slow / 16));
	store(&l->slot->seen_ns, l->since_ns);
	note_holder(l, held, spec.host);
	return true;
}

/*
 * nats-server 2.9 looks at the revision when an update comes, and of two that
 * come at once stores both, and says so.  What has come before it stores what
 * we show is stored then, so the last of them alone is still the key's.
 */
bool
lease_confirm(struct lease *l, const char *to, uint64_t number,
    const struct turn_mark *mark)
{
	return lease_show(l) && lease_say(l, true, to, number, mark);
}

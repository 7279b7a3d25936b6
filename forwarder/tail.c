/* SPDX-License-Identifier: ISC */
/*
 * One subject of a stream of all hosts.  mcrelay-forwarder.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "forwarder/tail.h"

void
tail_init(struct tail *tail, const char *stream, const char *all,
    int64_t most, char *subject)
{
	*tail = (struct tail){.stream = stream, .all = all, .most = most,
	    .subject = subject};
}

static bool
failed(struct tail *tail, const char *what, natsStatus status)
{
	static struct log_limit limit;

	tail->known = false;
	log_limited(&limit, "stream %s: subject %s: %s: %s; tried again, "
	    "archives are forwarded all the same", tail->stream,
	    tail->subject, what, link_why(status));
	return false;
}

static natsStatus
make(struct tail *tail, jsOptions *options)
{
	jsStreamConfig config;

	(void)jsStreamConfig_Init(&config);
	config.Name = tail->stream;
	config.Subjects = &tail->all;
	config.SubjectsLen = 1;
	config.Storage = js_FileStorage;
	config.Replicas = spec.replicas;
	config.MaxAge = tail->lasting ? 0 : spec.age_ns;
	if (tail->most > 0)
		config.MaxMsgsPerSubject = tail->most;
	return js_AddStream(NULL, tail->js, &config, options, NULL);
}

bool
tail_ask(struct tail *tail, char **data)
{
	jsStreamInfo *info = NULL;
	natsMsg *message = NULL;
	jsErrCode error = 0;
	natsStatus status;
	jsOptions options;

	*data = NULL;
	(void)jsOptions_Init(&options);
	options.Wait = ANSWER_MS;
	if (tail->js == NULL && natsConnection_JetStream(&tail->js, link_get(),
	    &options) != NATS_OK)
		return failed(tail, "libnats", NATS_NO_MEMORY);
	/* It stays as it is when it exists. */
	status = js_GetStreamInfo(&info, tail->js, tail->stream, &options,
	    &error);
	jsStreamInfo_Destroy(info);
	if (status == NATS_NOT_FOUND)
		status = make(tail, &options);
	if (status != NATS_OK)
		return failed(tail, "cannot be asked or made", status);
	status = js_GetLastMsg(&message, tail->js, tail->stream,
	    tail->subject, &options, &error);
	if (status != NATS_OK && status != NATS_NOT_FOUND)
		return failed(tail, "its end cannot be read", status);
	tail->last = 0;
	if (status == NATS_OK) {
		tail->last = natsMsg_GetSequence(message);
		*data = xasprintf("%.*s", natsMsg_GetDataLength(message),
		    natsMsg_GetData(message));
	}
	natsMsg_Destroy(message);
	tail->known = true;
	return true;
}

/* Of what is sent behind the last one of its subject, to be freed; NULL: none.
 * Not of the first: it may be sent again behind a stream that somebody has
 * emptied. */
static char *
identity(const struct tail *tail)
{
	return tail->same && tail->last != 0 ? xasprintf("%s %" PRIu64,
	    tail->subject, tail->last) : NULL;
}

bool
tail_put(struct tail *tail, const char *data, size_t size)
{
	char *id = identity(tail);
	jsPubAck *answer = NULL;
	jsPubOptions options;
	natsStatus status;

	(void)jsPubOptions_Init(&options);
	options.MaxWait = ANSWER_MS;
	options.ExpectStream = tail->stream;
	if (tail->last == 0)
		options.ExpectNoMessage = true;
	options.ExpectLastSubjectSeq = tail->last;
	options.MsgId = id;
	status = js_Publish(&answer, tail->js, tail->subject, data, (int)size,
	    &options, NULL);
	free(id);
	if (status != NATS_OK)
		return failed(tail, "a message is not stored", status);
	tail->last = answer->Sequence;
	/* It says what was stored once; somebody may have deleted that. */
	if (answer->Duplicate)
		tail->known = false;
	jsPubAck_Destroy(answer);
	return true;
}

/* SPDX-License-Identifier: ISC */
/*
 * A plain publisher of libnats, for bench/forward.py: so many messages of one
 * size to a stream that there is, by js_PublishAsync(), as many on their way as
 * mcrelay-forwarder has; if told to, with headers like its.  Prints the seconds
 * of its processor time.
 */
#include <sys/resource.h>
#include <nats/nats.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compiler.h"
#include "common/util.h"

#define ON_THEIR_WAY	256
#define BYTES_MAX	(8 << 20)

static int
fail(const char *what, natsStatus status)
{
	fprintf(stderr, "%s: %s\n", what, natsStatus_GetText(status));
	return 1;
}

static void
on_error(jsCtx *js ATTR_UNUSED, jsPubAckErr *error,
    void *closure ATTR_UNUSED)
{
	fprintf(stderr, "a message is not stored: %s\n", error->ErrText);
	_Exit(1);
}

static double
processor_s(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static natsStatus
set_headers(natsMsg *message, const char *stream, long number)
{
	static const char *const fixed[][2] = {
		{"Mcrelay-Channel", "one"}, {"Mcrelay-Host", "rig"},
		{"Mcrelay-File", "one_20261120T213000.000000Z_0.avro"},
		{"Mcrelay-Records", "700"}, {"Mcrelay-First-Sequence", "7"},
		{"Mcrelay-Last-Sequence", "7"},
		{"Mcrelay-Fingerprint", "0123456789abcdef"},
	};
	char text[24], id[64];
	natsStatus status;
	size_t i;

	snprintf(text, sizeof(text), "%ld", number);
	snprintf(id, sizeof(id), "%s:%ld+700", fixed[2][1], number);
	status = natsMsgHeader_Set(message, "Nats-Msg-Id", id);
	if (status == NATS_OK)
		status = natsMsgHeader_Set(message, "Mcrelay-First-Record",
		    text);
	if (status == NATS_OK)
		status = natsMsgHeader_Set(message,
		    "Nats-Expected-Last-Sequence", text);
	if (status == NATS_OK)
		status = natsMsgHeader_Set(message, "Nats-Expected-Stream",
		    stream);
	for (i = 0; i < NITEMS(fixed) && status == NATS_OK; i++)
		status = natsMsgHeader_Set(message, fixed[i][0], fixed[i][1]);
	return status;
}

static natsStatus
publish_one(jsCtx *js, const char *subject, const char *data, int size,
    long number, bool headers)
{
	natsMsg *message = NULL;
	natsStatus status;

	if (!headers)
		return js_PublishAsync(js, subject, data, size, NULL);
	status = natsMsg_Create(&message, subject, NULL, data, size);
	if (status == NATS_OK)
		status = set_headers(message, subject, number);
	if (status == NATS_OK)
		status = js_PublishMsgAsync(js, &message, NULL);
	natsMsg_Destroy(message);
	return status;
}

static int
publish(natsConnection *connection, const char *subject, int size, long count,
    bool headers)
{
	char *data = calloc(1, (size_t)size);
	natsStatus status;
	jsOptions options;
	jsCtx *js = NULL;
	long i;

	(void)jsOptions_Init(&options);
	options.PublishAsync.MaxPending = BYTES_MAX / size < ON_THEIR_WAY ?
	    BYTES_MAX / size : ON_THEIR_WAY;
	options.PublishAsync.ErrHandler = on_error;
	options.PublishAsync.StallWait = 10000;
	status = natsConnection_JetStream(&js, connection, &options);
	for (i = 0; i < count && status == NATS_OK; i++)
		status = publish_one(js, subject, data, size, i, headers);
	if (status == NATS_OK)
		status = js_PublishAsyncComplete(js, NULL);
	free(data);
	jsCtx_Destroy(js);
	if (status != NATS_OK)
		return fail(subject, status);
	printf("%.3f\n", processor_s());
	return 0;
}

int
main(int argc, char **argv)
{
	natsConnection *connection = NULL;
	natsStatus status;
	int result;

	if (argc != 5 && (argc != 6 || strcmp(argv[5], "headers") != 0)) {
		fprintf(stderr, "usage: publish server subject size count "
		    "[headers]\n");
		return 2;
	}
	status = natsConnection_ConnectTo(&connection, argv[1]);
	if (status != NATS_OK)
		return fail(argv[1], status);
	result = publish(connection, argv[2], atoi(argv[3]), atol(argv[4]),
	    argc == 6);
	natsConnection_Destroy(connection);
	nats_Close();
	return result;
}

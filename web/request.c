/* SPDX-License-Identifier: ISC */
/*
 * What a request asks for.  mcrelay-web only.  Names and values are whatever
 * came in; libmicrohttpd has bounded them.
 */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "web/accept.h"
#include "web/live.h"
#include "web/web_priv.h"

static void
add_channel(struct request *request, const char *name)
{
	if (request->choice.channel_count == WEB_CHANNELS_MAX) {
		request->wrong = "more channels than 64: ask for all\n";
		return;
	}
	request->channels[request->choice.channel_count++] = xstrdup(name);
}

static void
add_group(struct request *request, const char *name)
{
	unsigned group = metrics_group(name);

	if (group == 0)
		request->wrong = "collect[] is none of "
#define GROUP_WORD(constant, name, ...)	#name " "
		    METRICS_GROUPS(GROUP_WORD) "\n";
#undef GROUP_WORD
	request->choice.groups |= group;
}

static enum MHD_Result
on_argument(void *argument, enum MHD_ValueKind kind ATTR_UNUSED,
    const char *name, const char *value)
{
	struct request *request = argument;

	if (value == NULL)
		request->wrong = "a parameter without a value\n";
	else if (request->kind != REQUEST_METRICS)
		request->wrong = "there are no parameters\n";
	else if (strcmp(name, "channel") == 0)
		add_channel(request, value);
	else if (strcmp(name, "collect[]") == 0)
		add_group(request, value);
	else
		request->wrong = "only channel and collect[] are known\n";
	return request->wrong == NULL ? MHD_YES : MHD_NO;
}

struct request *
request_new(struct MHD_Connection *connection, enum request_kind kind)
{
	struct request *request = xcalloc(1, sizeof(*request));

	request->kind = kind;
	request->connection = connection;
	request->choice.openmetrics = accept_openmetrics(
	    MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
	    MHD_HTTP_HEADER_ACCEPT));
	request->gzip = accept_gzip(MHD_lookup_connection_value(connection,
	    MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING));
	request->choice.channels = (const char *const *)request->channels;
	if (kind != REQUEST_LIVE)
		(void)MHD_get_connection_values(connection,
		    MHD_GET_ARGUMENT_KIND, on_argument, request);
	if (request->choice.groups == 0)
		request->choice.groups = METRICS_ALL;
	return request;
}

void
request_free(struct request *request)
{
	size_t i;

	for (i = 0; i < request->choice.channel_count; i++)
		free(request->channels[i]);
	answer_release(request->answer);
	live_free(request->live);
	free(request);
}

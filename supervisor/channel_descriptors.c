/* SPDX-License-Identifier: ISC */
/*
 * What a channel's worker inherits, in the order of enum worker_fd.  Supervisor
 * only.
 */
#include "supervisor/channel_priv.h"

static size_t
list_inputs(const struct channel *channel, int fds[static INPUTS_MAX])
{
	const struct parts *parts = &channel->parts;
	size_t i;

	if (channel->foreign.worker)
		return foreign_list_inputs(channel, fds);
	for (i = 0; i < parts->inputs; i++)
		fds[i] = parts->input[i].fd;
	return parts->inputs;
}

size_t
channel_descriptors(const struct channel *channel, int messages, int segment,
    int fds[static CHANNEL_DESCRIPTORS_MAX])
{
	const struct parts *parts = &channel->parts;
	int input[INPUTS_MAX];
	size_t i, n = 0, inputs = list_inputs(channel, input);

	fds[n++] = messages;
	fds[n++] = segment;
	fds[n++] = input[0];
	for (i = 0; i < parts->outputs; i++)
		fds[n++] = parts->output[i];
	if (parts->archive != -1)
		fds[n++] = parts->archive;
	fds[n++] = channel->decimator_event;
	for (i = 1; i < inputs; i++)
		fds[n++] = input[i];
	if (!channel->foreign.worker && channel->xdp.given) {
		fds[n++] = channel->xdp.socket.socket;
		fds[n++] = channel->xdp.socket.memory;
	}
	return n;
}

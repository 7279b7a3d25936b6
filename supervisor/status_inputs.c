/* SPDX-License-Identifier: ISC */
/*
 * The state of a channel's inputs.  See status.c.  Supervisor only.
 */
#include <arpa/inet.h>
#include <string.h>

#include "common/inputs.h"
#include "common/udp.h"
#include "supervisor/json_text.h"
#include "supervisor/status_priv.h"
#include "supervisor/supervisor.h"

void
status_print_end(struct growing *out, const struct sockaddr_storage *address)
{
	const struct sockaddr_in6 *in6 = (const void *)address;
	const struct sockaddr_in *in = (const void *)address;
	char text[INET6_ADDRSTRLEN];
	in_port_t port;

	if (address->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		port = in6->sin6_port;
	} else {
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		port = in->sin_port;
	}
	json_text_string(out, "address", text);
	json_text_number(out, "port", ntohs(port));
}

void
status_print_counts(struct growing *out, const struct ledger_entry *entry,
    const void *counts)
{
	for (; entry->name != NULL; entry++)
		json_text_number(out, entry->name,
		    ledger_value(counts, entry));
}

/* NULL: there is none of this index. */
static const char *
interface_name(struct print *print, int index)
{
	if (index != print->index) {
		print->index = index;
		if (if_indextoname((unsigned)index, print->interface) == NULL)
			print->interface[0] = '\0';
	}
	return print->interface[0] != '\0' ? print->interface : NULL;
}

/* The interface where its group is joined, which routing may have chosen. */
static void
print_joined(struct print *print, const struct input *input)
{
	const char *name = NULL;

	if (input->fd != -1 && input->at.index != 0 &&
	    udp_is_group(&input->listen.address))
		name = interface_name(print, input->at.index);
	if (name != NULL)
		json_text_string(print->out, "joined", name);
}

void
status_print_listen(struct print *print, const struct channel *channel)
{
	json_text_open(print->out, "listen", '{');
	status_print_end(print->out, &channel->conf->listen[0].address);
	if (channel->parts.inputs > 0)
		print_joined(print, &channel->parts.input[0]);
	json_text_close(print->out, '}');
}

/* What is counted of an input; NULL: it is new, or cannot be read. */
static const struct input_state *
counted(const struct channel *channel, size_t i,
    const struct input_state *state)
{
	const struct listen_config *listen = &channel->conf->listen[i];
	uint32_t j;

	/* Until the worker of a change has come these are another's. */
	for (j = 0; j < channel->segment.inputs; j++)
		if (memcmp(&channel->segment.input[j].address,
		    &listen->address, sizeof(listen->address)) == 0 &&
		    strncmp(channel->segment.input[j].interface,
		    listen->interface, IF_NAMESIZE) == 0)
			return &state[j];
	return NULL;
}

static void
print_input(struct print *print, const struct channel *channel, size_t i,
    const struct input_state *state)
{
	static const struct input_state none;
	const struct listen_config *listen = &channel->conf->listen[i];
	struct growing *out = print->out;

	if (state == NULL)
		state = &none;
	json_text_open(out, NULL, '{');
	status_print_end(out, &listen->address);
	if (listen->interface[0] != '\0')
		json_text_string(out, "interface", listen->interface);
	if (i < channel->parts.inputs) {
		print_joined(print, &channel->parts.input[i]);
		json_text_truth(out, "lost",
		    channel->parts.input[i].at.error != 0);
	}
	json_text_number(out, "last_datagram_ns", state->last_received_ns);
	status_print_counts(out, input_table, &state->counts);
	json_text_close(out, '}');
}

void
status_print_inputs(struct print *print, const struct channel *channel)
{
	struct input_state state[INPUTS_MAX];
	bool known = channel->segment.base != NULL &&
	    inputs_read(&channel->segment, state);
	size_t i;

	json_text_open(print->out, "inputs", '[');
	for (i = 0; i < channel->conf->inputs; i++)
		print_input(print, channel, i, known ?
		    counted(channel, i, state) : NULL);
	json_text_close(print->out, ']');
}

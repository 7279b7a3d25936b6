/* SPDX-License-Identifier: ISC */
/*
 * The outputs of a channel in the status.  Supervisor only.
 */
#include <string.h>

#include "common/ledger.h"
#include "supervisor/json_text.h"
#include "supervisor/segment_spec.h"
#include "supervisor/status_priv.h"
#include "supervisor/supervisor.h"

/* Where the program is, and what it says to have sent. */
static void
print_kernel(struct growing *out, const struct channel *channel,
    const struct destination_conf *to, const struct kernel_counts *counts)
{
	int slot = segment_spec_slot(&channel->segment, to);
	const struct kernel_count *count;

	json_text_string(out, "attached", "clsact");
	json_text_number(out, "program", kernel_program_id(
	    channel->supervisor->kernel.program));
	if (slot == -1)
		return;
	count = &counts->slot[slot % KERNEL_TARGETS];
	json_text_open(out, "program_counts", '{');
	json_text_number(out, "datagrams", count->datagrams);
	json_text_number(out, "bytes", count->bytes);
	json_text_number(out, "errors", count->errors);
	json_text_close(out, '}');
}

/* Who sends by it now, and, if that is not who should, why. */
static void
print_path(struct growing *out, const struct channel *channel, size_t output,
    const struct kernel_counts *counts)
{
	const struct kernel_outputs *outputs = &channel->kernel_outputs;
	uint32_t bit = UINT32_C(1) << output;
	char text[KERNEL_WHY_SIZE];
	const char *why;

	if (!channel->conf->relay[output].kernel) {
		json_text_string(out, "path", "worker");
		return;
	}
	json_text_string(out, "path", (outputs->there & bit) != 0 ?
	    "kernel" : "worker");
	if ((outputs->there & bit) != 0) {
		print_kernel(out, channel, &channel->conf->relay[output],
		    counts);
		return;
	}
	why = kernel_path_why(channel, text, sizeof(text));
	json_text_string(out, "not_kernel", why[0] != '\0' ? why :
	    (outputs->unrouted & bit) != 0 ? "no route leads from here to its "
	    "host as to another one, by a kind of interface that the program "
	    "knows" :
	    (outputs->unheard & bit) != 0 ? "the next hop's hardware address "
	    "is not known: the next datagram asks for it" :
	    "a socket, an interface or a worker is not ready, or the relay is "
	    "paused");
}

/*
 * The outputs of the configuration in force.  Until the worker of a change
 * has come, the counters are those of the outputs before.
 */
void
status_print_outputs(struct growing *out, const struct channel *channel,
    const struct output_counts *counts)
{
	const struct channel_conf *conf = channel->conf;
	struct kernel_counts by_program;
	size_t i;

	memset(&by_program, 0, sizeof(by_program));
	if (kernel_path_wanted(conf, false))
		kernel_path_counts(channel, &by_program);
	json_text_open(out, "outputs", '[');
	for (i = 0; i < conf->relays; i++) {
		json_text_open(out, NULL, '{');
		status_print_end(out, &conf->relay[i].address);
		if (conf->relay[i].interface[0] != '\0')
			json_text_string(out, "interface",
			    conf->relay[i].interface);
		print_path(out, channel, i, &by_program);
		status_print_counts(out, output_table, &counts[i]);
		json_text_close(out, '}');
	}
	json_text_close(out, ']');
}

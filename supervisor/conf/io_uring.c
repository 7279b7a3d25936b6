/* SPDX-License-Identifier: ISC */
/*
 * Reading a channel's `io_uring'.  Supervisor only.  Does not ask whether the
 * kernel has it: a configuration is as good on another machine.
 */
#include <sched.h>
#include <string.h>

#include "supervisor/conf/conf_priv.h"

static const struct number_key queue_depth_key = {
	.name = "queue_depth", .min = 1, .max = URING_DEPTH_MAX,
	.preset = 128,
};

static const struct number_key sq_thread_cpu_key = {
	.name = "sq_thread_cpu", .min = 0, .max = CPU_SETSIZE - 1,
};

/* `null' takes back what `defaults' say. */
static int32_t
read_cpu(struct section *section)
{
	const struct node *node = section_get(section, "sq_thread_cpu");
	uint64_t cpu;

	if (node != NULL && node->kind == NODE_SCALAR &&
	    (strcmp(node->text, "null") == 0 || strcmp(node->text, "~") == 0))
		return -1;
	cpu = section_number(section, &sq_thread_cpu_key, &node);
	if (node == NULL)
		return -1;
	return (int32_t)cpu;
}

void
conf_read_io_uring(struct section *channel, struct uring_config *uring)
{
	struct section section;
	const struct node *cpu;

	(void)section_enter(channel, "io_uring", &section);
	uring->enabled = section_bool(&section, "enabled", false);
	uring->queue_depth = (uint32_t)section_number(&section,
	    &queue_depth_key, NULL);
	uring->use_sqpoll = section_bool(&section, "use_sqpoll", false);
	uring->sq_thread_cpu = read_cpu(&section);
	cpu = section_get(&section, "sq_thread_cpu");
	if (uring->sq_thread_cpu != -1 && !uring->use_sqpoll &&
	    !section.partial)
		problem_error(section.problems, cpu->place,
		    "`sq_thread_cpu' needs `use_sqpoll: true': else there is "
		    "no thread that could run there");
	uring->fallback_on_error = section_bool(&section,
	    "fallback_on_error", true);
	uring->use_registered_buffers = section_bool(&section,
	    "use_registered_buffers", false);
	section_close(&section);
}

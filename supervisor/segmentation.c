/* SPDX-License-Identifier: ISC */
/*
 * Whether runs of datagrams are spoilt on this host.  Supervisor.
 */
#include <stddef.h>

#include "supervisor/conf/conf.h"
#include "supervisor/segmentation.h"

/* Where nothing arrives, loopback is not up; where it cannot be sent, workers
 * find that out for each output. */
bool
segmentation_is_spoilt(void)
{
	bool any;
	const int count = segmentation_run_through(&any);

	return any && count != (int)SEGMENTATION_RUN;
}

void
segmentation_turn_off(struct conf *conf)
{
	struct channel_conf *channel;

	for (size_t i = 0; i < conf->channels; i++) {
		channel = &conf->channel[i];
		for (size_t j = 0; j < channel->inputs; j++)
			channel->listen[j].one_by_one = true;
		for (size_t j = 0; j < channel->relays; j++)
			channel->relay[j].one_by_one = true;
	}
}

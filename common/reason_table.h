/* SPDX-License-Identifier: ISC */
/*
 * Why a channel is not, or not only, running: one table for the supervisor,
 * who finds the reasons, and for those who list them all.
 */
#ifndef MCRELAY_REASON_TABLE_H
#define MCRELAY_REASON_TABLE_H

/* X(constant, name, severity, meaning); users rely on the names. */
#define REASON_TABLE(X)							\
	X(ADDRESS_IN_USE, address_in_use, WAITING,			\
	    "another process has the address and port")			\
	X(INTERFACE_MISSING, interface_missing, WAITING,		\
	    "there is no such interface")				\
	X(ADDRESS_MISSING, address_missing, WAITING,			\
	    "no interface has the address, or not for good yet")	\
	X(ROUTE_MISSING, route_missing, WAITING,			\
	    "there is no way to the destination")			\
	X(ARCHIVE_DIRECTORY, archive_directory, WAITING,		\
	    "the archive directory cannot be made or opened")		\
	X(ARCHIVE_IN_USE, archive_in_use, WAITING,			\
	    "another process writes to the archive directory")		\
	X(MEMORY_MISSING, memory_missing, WAITING,			\
	    "there is no memory for its ring")				\
	X(PROGRAM_CLOSED, program_closed, WAITING,			\
	    "its user cannot execute mcrelay-worker")			\
	X(KERNEL_MISSING, kernel_missing, WAITING,			\
	    "the kernel has no program that relays or receives, and "	\
	    "nothing else is to")					\
	X(NOT_PERMITTED, not_permitted, WAITING,			\
	    "mcrelayd may not open it")					\
	X(CANNOT_OPEN, cannot_open, WAITING,				\
	    "a socket cannot be opened")				\
	X(INPUT_LOST, input_lost, DEGRADED,				\
	    "the input's interface is gone, or the way to its group")	\
	X(PORT_MIXED_UP, port_mixed_up, DEGRADED,			\
	    "the kernel does not share out its port by source")		\
	X(OUTPUT_LOST, output_lost, DEGRADED,				\
	    "the interface of an output is gone, its address, or the route") \
	X(STREAM_LOST, stream_lost, DEGRADED,				\
	    "the same of the output of a decimated stream")		\
	X(STREAM_OUTPUT, stream_output, DEGRADED,			\
	    "the output of a decimated stream cannot be opened")	\
	X(DECIMATOR_AWAY, decimator_away, DEGRADED,			\
	    "no decimator serves the channel now")			\
	X(STREAM_FAILING, stream_failing, DEGRADED,			\
	    "datums of a decimated stream could not be sent")		\
	X(OUTPUT_FAILING, output_failing, DEGRADED,			\
	    "datagrams could not be relayed")				\
	X(ARCHIVE_AWAY, archive_away, DEGRADED,				\
	    "the archive directory, or what it requires, is not there")	\
	X(ARCHIVE_FAILING, archive_failing, DEGRADED,			\
	    "the archive could not be written")				\
	X(ARCHIVE_SHEDDING, archive_shedding, DEGRADED,			\
	    "datagrams were not archived")				\
	X(ARCHIVE_STUCK, archive_stuck, DEGRADED,			\
	    "the archive's disk does not answer")			\
	X(FORWARD_REFUSED, forward_refused, DEGRADED,			\
	    "nothing is forwarded: a limit, a stream that is not "	\
	    "ours, or an archive that cannot be read")			\
	X(FORWARD_BEHIND, forward_behind, DEGRADED,			\
	    "the archive has not been forwarded for a minute")		\
	X(FLEET_AWAY, fleet_away, DEGRADED,				\
	    "no server has told for more than a lease whose turn it is: " \
	    "nobody may be relaying")					\
	X(SOCKET_DROPPING, socket_dropping, DEGRADED,			\
	    "the receive buffer was full")				\
	X(CARD_STARVED, card_starved, DEGRADED,				\
	    "its network card found no memory for what came next, and "	\
	    "what it drops it alone counts")				\
	X(KERNEL_FAILING, kernel_failing, DEGRADED,			\
	    "an interface takes no program that relays, or the program " \
	    "cannot be told: the worker relays")			\
	X(NO_DATAGRAMS, no_datagrams, STALE,				\
	    "no datagram came for the time stale_after")		\
	X(ARCHIVE_PAUSED, archive_paused, PAUSED,			\
	    "archiving is paused, until mcrelayctl resume")		\
	X(RELAY_PAUSED, relay_paused, PAUSED,				\
	    "relaying is paused, until mcrelayctl resume")		\
	X(STANDBY, standby, NOTE,					\
	    "nothing is sent: another host does, or has to be heard of") \
	X(MEMORY_UNLOCKED, memory_unlocked, NOTE,			\
	    "its memory may be swapped out: raise RLIMIT_MEMLOCK")	\
	X(KERNEL_FALLBACK, kernel_fallback, NOTE,			\
	    "the kernel has no program that relays or receives: the "	\
	    "worker does")						\
	X(QUARANTINED, quarantined, NOTE,				\
	    "it has ended the worker that it shared: it has its own now") \
	X(NO_QUERIER, no_querier, NOTE,					\
	    "no IGMP or MLD query comes in where its group is joined: a " \
	    "switch that snoops will stop sending it")

#endif /* MCRELAY_REASON_TABLE_H */

/* SPDX-License-Identifier: ISC */
/*
 * All that the doctor looks at: a row for each check, in the order in which
 * they are printed.
 *
 *	ROW(name, patience, why)
 *
 * doctor_check_NAME() looks (doctor_priv.h); after `patience' seconds it hangs;
 * `why' says why it matters, and is printed with what is not well.  A new check
 * is a row, a function, and an item in mcrelayctl(8).
 */
#ifndef MCRELAY_DOCTOR_CHECKS_H
#define MCRELAY_DOCTOR_CHECKS_H

#define DOCTOR_CHECKS(ROW)						\
ROW(daemon, 10,								\
    "what was installed or configured since is not in force, and what is " \
    "paused is neither archived nor relayed")		\
ROW(receive_buffer, 10,							\
    "what comes while a worker is busy or replaced waits there, and "	\
    "is lost when it is full")						\
ROW(outage_budget, 10,							\
    "so long a channel may be without a worker before datagrams are lost") \
ROW(udp_mem, 10,							\
    "beyond it the kernel drops datagrams, however large a receive "	\
    "buffer is")							\
ROW(interface, 10,							\
    "nothing is heard or sent by an interface that is not there, not up, " \
    "has no carrier or no multicast")					\
ROW(mtu, 10,								\
    "what does not fit in a packet goes in fragments, of which the loss " \
    "of one loses all, or is refused")					\
ROW(link_speed, 10,							\
    "a link that is slower than it could be drops what it has no time "	\
    "for, mostly for a bad cable")					\
ROW(offloads, 10,							\
    "without them the kernel handles each datagram alone, which costs "	\
    "several times as much processor time")				\
ROW(rings, 10,								\
    "a card drops what comes while its ring is full and no processor "	\
    "has time for it")							\
ROW(coalescing, 10,							\
    "a card that interrupts late delays all that is relayed, and needs " \
    "a larger ring")							\
ROW(interface_drops, 10,						\
    "what card and driver drop no socket sees, and no ledger counts")	\
ROW(wifi_power_save, 10,						\
    "a Wi-Fi that sleeps misses multicast, and delays the rest")	\
ROW(usb_nic, 10,							\
    "a card behind USB has small buffers and no interrupts of its own: " \
    "it drops at rates that others do not notice")			\
ROW(rp_filter, 10,							\
    "where it is strict, the kernel silently drops datagrams of senders " \
    "that it would not reach by the same interface, though tcpdump "	\
    "shows them")							\
ROW(group, 10,								\
    "what is sent to a group is heard where that is joined")		\
ROW(igmp_limits, 10,							\
    "what is beyond them is not joined")				\
ROW(igmp_version, 10,							\
    "older versions cannot ask for a group's datagrams of certain "	\
    "sources, and are seen by fewer switches")				\
ROW(querier, 10,							\
    "a switch that snoops forgets members that nobody asks for: the "	\
    "stream stops after some minutes")					\
ROW(port, 10,								\
    "of two sockets with one address and port only one gets a datagram") \
ROW(fill, 10,								\
    "where little was left, the next hiccup loses datagrams")		\
ROW(softnet, 10,							\
    "a processor that is behind drops packets before any socket sees "	\
    "them")								\
ROW(udp_errors, 10,							\
    "datagrams that the kernel has thrown away, of all programs of the " \
    "host or container")						\
ROW(gso, 10,								\
    "runs of datagrams of one size are sent in one call, where the "	\
    "kernel takes them apart as it should")				\
ROW(clock, 10,								\
    "files are named, and datagrams stamped, by a clock that is off or " \
    "steps")								\
ROW(memory, 10,								\
    "a channel whose ring has no memory does not start")		\
ROW(memlock, 10,							\
    "memory that is not locked may be swapped out: datagrams wait for "	\
    "the disk")								\
ROW(descriptors, 10,							\
    "what cannot be opened does not start")				\
ROW(cgroup, 10,								\
    "what needs more is killed, made to wait, or not started")		\
ROW(user, 10,								\
    "workers read what comes from the network, and should be nobody "	\
    "who may do more than that")					\
ROW(run_dir, 10,							\
    "pid files and control socket are there: who could change them "	\
    "could give orders")						\
ROW(log, 10,								\
    "what mcrelayd has to say is lost without it")			\
ROW(systemd, 10,							\
    "sockets and rings outlive a mcrelayd that dies only in the "	\
    "manager's store")							\
ROW(web, 10,								\
    "who reads metrics has to reach it, and to trust its certificate")	\
ROW(forward, 90,							\
    "what no server stores waits in the archive, for as long as that "	\
    "keeps it")								\
ROW(fleet, 10,								\
    "where hosts take turns, one that relays and one that would follow " \
    "have to hear the same servers, in time")				\
ROW(archive_directory, 5,						\
    "nothing is archived where the worker may not write")		\
ROW(archive_mount, 5,							\
    "nothing is archived while what require_mount names is not mounted") \
ROW(archive_filesystem, 5,						\
    "files are to outlive power cuts, and to be locked and linked")	\
ROW(archive_space, 5,							\
    "what has no room on the disk is shed")				\
ROW(archive_links, 20,							\
    "finished files get their names without replacing another, and are " \
    "held by hard links")						\
ROW(archive_speed, 60,							\
    "what the disk cannot keep up with is shed")

#endif /* MCRELAY_DOCTOR_CHECKS_H */

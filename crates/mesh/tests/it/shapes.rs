//! Packets as a plain reading of the RFCs would make them, sharing no code with the crate.

use mesh::VNET_LEN;

/// A TCP or UDP packet, or the super-packet that stands for many.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) v6: bool,
    pub(crate) tcp: bool,
    pub(crate) flow: u8,
    pub(crate) sequence: u32,
    pub(crate) id: u16,
    pub(crate) flags: u8,
    /// TCP options, a multiple of 4 bytes.
    pub(crate) options: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

pub(crate) const PSH_ACK: u8 = 0x18;
pub(crate) const ACK: u8 = 0x10;

impl Shape {
    pub(crate) fn header_len(&self) -> usize {
        self.ip_len() + if self.tcp { 20 + self.options.len() } else { 8 }
    }

    pub(crate) fn ip_len(&self) -> usize {
        if self.v6 { 40 } else { 20 }
    }

    /// The packet with all its checksums.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let (mut ip, transport) = (self.ip_header(), self.transport(true));
        ip.extend_from_slice(&transport);
        ip
    }

    /// The frame of a device that left the checksum and the cutting at `size` to us.
    pub(crate) fn frame(&self, size: u16) -> Vec<u8> {
        let kind = match (self.tcp, self.v6) {
            (true, false) => 1,
            (true, true) => 4,
            (false, _) => 5,
        };
        let offset = if self.tcp { 16_u16 } else { 6 };
        let words = [self.header_len() as u16, size, self.ip_len() as u16, offset];
        let mut frame = vec![1, kind];
        frame.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        assert_eq!(frame.len(), VNET_LEN);
        frame.extend_from_slice(&self.ip_header());
        frame.extend_from_slice(&self.transport(false));
        frame
    }

    /// The packets that cutting at `size` must give, one by one.
    pub(crate) fn pieces(&self, size: usize) -> Vec<Vec<u8>> {
        let count = self.data.len().div_ceil(size);
        let piece = |(index, data): (usize, &[u8])| {
            let last = index + 1 == count;
            let flags = if last { self.flags } else { self.flags & !0x09 };
            let flags = if index > 0 { flags & !0x80 } else { flags };
            let sequence = self.sequence.wrapping_add((index * size) as u32);
            let id = self.id.wrapping_add(index as u16);
            Shape { flags, sequence, id, data: data.to_vec(), ..self.clone() }.packet()
        };
        self.data.chunks(size).enumerate().map(piece).collect()
    }

    fn ip_header(&self) -> Vec<u8> {
        let protocol = if self.tcp { 6 } else { 17 };
        let total = (self.header_len() + self.data.len()) as u16;
        if self.v6 {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend_from_slice(&(total - 40).to_be_bytes());
            header.extend_from_slice(&[protocol, 64]);
            header.extend_from_slice(&self.addresses());
            return header;
        }
        let mut header = vec![0x45, 0];
        header.extend_from_slice(&total.to_be_bytes());
        header.extend_from_slice(&self.id.to_be_bytes());
        header.extend_from_slice(&[0, 0, 64, protocol, 0, 0]);
        header.extend_from_slice(&self.addresses());
        let sum = !sum(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn transport(&self, whole: bool) -> Vec<u8> {
        let mut out = vec![0x10, self.flow, 0x20, 0];
        let len = self.header_len() - self.ip_len() + self.data.len();
        if self.tcp {
            out.extend_from_slice(&self.sequence.to_be_bytes());
            out.extend_from_slice(&[0, 0, 0, 1]);
            out.extend_from_slice(&[(5 + self.options.len() as u8 / 4) << 4, self.flags, 1, 0]);
            out.extend_from_slice(&[0, 0, 0, 0]);
            out.extend_from_slice(&self.options);
        } else {
            out.extend_from_slice(&(len as u16).to_be_bytes());
            out.extend_from_slice(&[0, 0]);
        }
        out.extend_from_slice(&self.data);
        let protocol = [0, if self.tcp { 6 } else { 17 }];
        let pseudo: [&[u8]; 3] = [&self.addresses(), &protocol, &(len as u16).to_be_bytes()];
        let at = if self.tcp { 16 } else { 6 };
        let value = if whole {
            let value = !sum(&[pseudo[0], pseudo[1], pseudo[2], &out]);
            if value == 0 && !self.tcp { 0xffff } else { value }
        } else {
            sum(&pseudo)
        };
        out[at..at + 2].copy_from_slice(&value.to_be_bytes());
        out
    }

    fn addresses(&self) -> Vec<u8> {
        let (mut from, mut to) = (vec![0xfd; 16], vec![0xfd; 16]);
        if !self.v6 {
            (from, to) = (vec![10, 0, 0, 1], vec![10, 0, 0, 2]);
        }
        from.append(&mut to);
        from
    }
}

/// RFC 1071 as it is written, over parts of even length but the last.
pub(crate) fn sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    sum as u16
}

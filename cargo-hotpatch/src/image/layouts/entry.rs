//! A single entry of the debug information.

use gimli::{Attribute, AttributeValue, DwAt, DwTag, UnitOffset};

use super::sections::Reader;

/// An entry with its attributes.
pub(crate) struct Entry<'a, 'data> {
    pub(crate) tag: DwTag,
    pub(crate) offset: UnitOffset,
    pub(crate) attributes: &'a [Attribute<Reader<'data>>],
}

impl<'data> Entry<'_, 'data> {
    pub(crate) fn attribute(&self, name: DwAt) -> Option<&Attribute<Reader<'data>>> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name() == name)
    }

    pub(crate) fn has(&self, name: DwAt) -> bool {
        self.attribute(name).is_some()
    }

    pub(crate) fn value(&self, name: DwAt) -> Option<AttributeValue<Reader<'data>>> {
        self.attribute(name).map(Attribute::value)
    }

    pub(crate) fn raw(&self, name: DwAt) -> Option<AttributeValue<Reader<'data>>> {
        self.attribute(name).map(Attribute::raw_value)
    }
}

pub(crate) fn reference(entry: &Entry<'_, '_>) -> Option<UnitOffset> {
    match entry.value(gimli::DW_AT_type)? {
        AttributeValue::UnitRef(offset) => Some(offset),
        _ => None,
    }
}

pub(crate) fn number(entry: &Entry<'_, '_>, name: DwAt) -> Option<i128> {
    match entry.raw(name)? {
        AttributeValue::Sdata(value) => Some(value.into()),
        AttributeValue::Block(bytes) => {
            // A number of 128 bits.
            let bytes: [u8; 16] = bytes.slice().try_into().ok()?;
            Some(i128::from_le_bytes(bytes))
        }
        value => value
            .udata_value()
            .map(i128::from)
            .or_else(|| value.sdata_value().map(i128::from)),
    }
}

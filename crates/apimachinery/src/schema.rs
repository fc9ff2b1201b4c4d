//! What patches and managed fields have to know of an object's types. Built-in kinds implement it over generated tables
//! (`codec::schema`), custom resources over their structural schemas.

/// What stands at one place of an object. Cheap to copy: a pointer into tables that live for `'s`.
pub trait Schema<'s>: Copy {
    fn shape(self) -> Shape<'s>;

    /// What a struct's field, or any key of a map, holds. None for a field that the struct does not have.
    fn field(self, name: &str) -> Option<Self>;

    /// What a list's elements are. For what is no list: itself.
    fn element(self) -> Self;

    /// How strategic merge patches treat the value at this place.
    fn patch(self) -> Patch<'s>;

    /// For a field that Go never leaves out: JSON text of what stands there when nothing was set. Where the parent is
    /// present, such a field is too.
    fn zero(self) -> Option<&'s str> {
        None
    }

    /// JSON text of the value that an absent field of this struct stands for; only asked for fields lists are keyed by.
    fn key_default(self, field: &str) -> Option<&'s str>;
}

/// The kinds of values, as far as merging cares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape<'s> {
    Scalar,
    /// Named fields, each with a type of its own. Atomic ones are owned and replaced as a whole.
    Struct {
        atomic: bool,
    },
    /// Any keys, one type of values.
    Map {
        atomic: bool,
    },
    List(List<'s>),
    /// Nothing is known: objects are maps of the unknown, lists are atomic, the rest are scalars.
    Unknown,
}

/// How the elements of a list are told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum List<'s> {
    /// They are not: the list is one value.
    Atomic,
    /// By their (scalar) values.
    Set,
    /// By some of their fields.
    Map(Keys<'s>),
}

/// The names of the fields that tell elements apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keys<'s> {
    Table(&'s [&'s str]),
    Owned(&'s [String]),
}

impl<'s> Keys<'s> {
    /// In the schema's order.
    pub fn iter(self) -> impl Iterator<Item = &'s str> {
        let (table, owned) = match self {
            Keys::Table(names) => (names, &[][..]),
            Keys::Owned(names) => (&[][..], names),
        };
        table.iter().copied().chain(owned.iter().map(String::as_str))
    }
}

/// How strategic merge patches treat a value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Patch<'s> {
    /// A list: merged, not replaced.
    pub merge: bool,
    /// An object: fields the patch does not name are removed when it says so by `$retainKeys`.
    pub retain_keys: bool,
    /// A list of objects: the field that pairs elements.
    pub merge_key: Option<&'s str>,
}

//! Stable codes: what programs read where people read words. docs/json.md lists them all, and a test holds it to the enums.

/// Declares an enum whose values have codes. A code never changes once it was released; the words beside it may.
///
/// Variants may hold data. The enum gets `CODES`, in the order of its variants, and `code`.
macro_rules! coded {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$about:meta])* $variant:ident $(($($part:ty),+))? $({$($field:ident: $of:ty),+})? = $code:literal,)+
    }) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$about])* $variant $(($($part),+))? $({$($field: $of),+})?,)+
        }

        impl $name {
            /// The code of each variant, for programs.
            pub const CODES: &'static [&'static str] = &[$($code),+];

            /// What programs read; see docs/json.md.
            pub const fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code,)+
                }
            }
        }
    };
}

/// As [`coded`], of variants without data: with `ALL`, `from_code`, and serialized as its code.
macro_rules! plain_coded {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$about:meta])* $variant:ident = $code:literal,)+ }) => {
        $crate::model::code::coded! {
            $(#[$meta])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub enum $name { $($(#[$about])* $variant = $code,)+ }
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value with this code.
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.code() == code)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.code())
            }
        }
    };
}

pub(crate) use {coded, plain_coded};

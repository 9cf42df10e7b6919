//! Pure: the accounts of the chart: numbers, names and kinds of the accounting specification,
//! section 2.

use ledger::AccountKind;

/// An account of the chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// 1000: money at the bank.
    Bank,
    /// 1010: money in the network's balance at Stripe.
    StripeBalance,
    /// 1100: invoiced to the brand and not yet settled.
    InvoicedReceivable,
    /// 1110: earned but not yet invoiced to the brand.
    UnbilledReceivable,
    /// 1190: set aside for invoices that may not be paid, a credit balance.
    CreditAllowance,
    /// 1200: a publisher was paid what was reversed afterwards and owes it back.
    ClawbackReceivable,
    /// 1300: one leg of an exchange; the other stands in the other currency.
    FxPosition,
    /// 1390: money that nobody has explained yet; zero when a month closes.
    Suspense,
    /// 1900: due from other books, or to them when below zero; zero over all books.
    BetweenBooks,
    /// 2000: owed to a publisher, the brand has not paid yet.
    UnfundedPayable,
    /// 2005: owed to a publisher once approved, when commissions are recognised at conversion.
    PendingPayable,
    /// 2010: owed to a publisher and funded by the brand; the only account payouts draw on.
    AvailablePayable,
    /// 2020: frozen in a payout that has not reached the publisher yet.
    PayoutInTransit,
    /// 2030: owed to a publisher, on hold.
    HeldPayable,
    /// 2100: a brand's money that settles no invoice yet.
    BrandCredit,
    /// 2200: withheld from payouts, owed to the tax office.
    TaxWithheld,
    /// 2210: value added tax invoiced to brands.
    VatPayable,
    /// 2220: value added tax in self-billed documents.
    VatReceivable,
    /// 2300: fee not yet earned, when commissions are recognised at conversion.
    ConstrainedFee,
    /// 2400: balances nobody has claimed for years.
    UnclaimedProperty,
    /// 4000: network fee deducted from the publisher.
    PublisherFee,
    /// 4010: network fee added to the brand's invoice.
    BrandFee,
    /// 4020: commission of conversions that no publisher earned.
    HouseIncome,
    /// 4030: charged on invoices that are overdue.
    LateCharges,
    /// 4040: what a payout costs, charged to the publisher.
    PayoutCharges,
    /// 4100: gross commission, when the network presents as principal.
    GrossCommission,
    /// 5000: publishers' share, when the network presents as principal.
    PublisherCost,
    /// 5100: what Stripe and banks charge.
    ProcessorFees,
    /// 5200: invoices that are never paid.
    CreditLosses,
    /// 5300: paid to publishers, reversed and not recovered.
    ClawbackLosses,
    /// 5400: gains and losses of exchange.
    ExchangeDifferences,
    /// 5500: bonuses and adjustments the network pays itself.
    NetworkBonuses,
    /// 5600: differences too small to ask for.
    RoundingTolerance,
    /// 9100: what the brand would owe if the conversion were approved.
    ExpectedBrandDue,
    /// 9200: what the publisher would earn.
    ExpectedPublisherDue,
    /// 9210: what the publisher would earn, on hold.
    ExpectedHeld,
    /// 9300: what the network would earn.
    ExpectedFee,
}

impl Code {
    /// Every account, in order of its number.
    pub const ALL: [Code; 37] = [
        Code::Bank,
        Code::StripeBalance,
        Code::InvoicedReceivable,
        Code::UnbilledReceivable,
        Code::CreditAllowance,
        Code::ClawbackReceivable,
        Code::FxPosition,
        Code::Suspense,
        Code::BetweenBooks,
        Code::UnfundedPayable,
        Code::PendingPayable,
        Code::AvailablePayable,
        Code::PayoutInTransit,
        Code::HeldPayable,
        Code::BrandCredit,
        Code::TaxWithheld,
        Code::VatPayable,
        Code::VatReceivable,
        Code::ConstrainedFee,
        Code::UnclaimedProperty,
        Code::PublisherFee,
        Code::BrandFee,
        Code::HouseIncome,
        Code::LateCharges,
        Code::PayoutCharges,
        Code::GrossCommission,
        Code::PublisherCost,
        Code::ProcessorFees,
        Code::CreditLosses,
        Code::ClawbackLosses,
        Code::ExchangeDifferences,
        Code::NetworkBonuses,
        Code::RoundingTolerance,
        Code::ExpectedBrandDue,
        Code::ExpectedPublisherDue,
        Code::ExpectedHeld,
        Code::ExpectedFee,
    ];

    /// The number, as stored.
    #[must_use]
    pub const fn number(self) -> &'static str {
        self.row().0
    }

    /// The name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// The kind of account.
    #[must_use]
    pub const fn kind(self) -> AccountKind {
        self.row().2
    }

    /// Whether each publisher has one of its own.
    #[must_use]
    pub const fn is_per_publisher(self) -> bool {
        matches!(
            self,
            Code::ClawbackReceivable
                | Code::UnfundedPayable
                | Code::PendingPayable
                | Code::AvailablePayable
                | Code::PayoutInTransit
                | Code::HeldPayable
                | Code::ExpectedPublisherDue
                | Code::ExpectedHeld
        )
    }

    /// Whether it stands outside the trial balance.
    #[must_use]
    pub const fn is_memo(self) -> bool {
        matches!(
            self,
            Code::ExpectedBrandDue
                | Code::ExpectedPublisherDue
                | Code::ExpectedHeld
                | Code::ExpectedFee
        )
    }

    /// Whether its balance may not fall below zero.
    #[must_use]
    pub const fn has_floor(self) -> bool {
        matches!(self, Code::AvailablePayable)
    }

    /// The account of that number.
    #[must_use]
    pub fn numbered(number: &str) -> Option<Code> {
        Code::ALL.into_iter().find(|code| code.number() == number)
    }

    const fn row(self) -> (&'static str, &'static str, AccountKind) {
        use AccountKind::{Asset, Expense, Liability, Revenue};
        match self {
            Code::Bank => ("1000", "Bank", Asset),
            Code::StripeBalance => ("1010", "Stripe balance", Asset),
            Code::InvoicedReceivable => ("1100", "Receivable, invoiced", Asset),
            Code::UnbilledReceivable => ("1110", "Receivable, unbilled", Asset),
            Code::CreditAllowance => ("1190", "Allowance for credit losses", Asset),
            Code::ClawbackReceivable => ("1200", "Publisher clawback receivable", Asset),
            Code::FxPosition => ("1300", "FX position", Asset),
            Code::Suspense => ("1390", "Suspense", Asset),
            Code::BetweenBooks => ("1900", "Due between books", Asset),
            Code::UnfundedPayable => ("2000", "Publisher payable, unfunded", Liability),
            Code::PendingPayable => ("2005", "Publisher payable, pending", Liability),
            Code::AvailablePayable => ("2010", "Publisher payable, available", Liability),
            Code::PayoutInTransit => ("2020", "Payouts in transit", Liability),
            Code::HeldPayable => ("2030", "Publisher payable, on hold", Liability),
            Code::BrandCredit => ("2100", "Brand credits and deposits", Liability),
            Code::TaxWithheld => ("2200", "Tax withheld", Liability),
            Code::VatPayable => ("2210", "VAT payable", Liability),
            Code::VatReceivable => ("2220", "VAT receivable", Asset),
            Code::ConstrainedFee => ("2300", "Fee, not yet earned", Liability),
            Code::UnclaimedProperty => ("2400", "Unclaimed property", Liability),
            Code::PublisherFee => ("4000", "Network fee, publisher side", Revenue),
            Code::BrandFee => ("4010", "Network fee, brand side", Revenue),
            Code::HouseIncome => ("4020", "House income", Revenue),
            Code::LateCharges => ("4030", "Late charges", Revenue),
            Code::PayoutCharges => ("4040", "Recharged payout costs", Revenue),
            Code::GrossCommission => ("4100", "Gross commission", Revenue),
            Code::PublisherCost => ("5000", "Publisher cost", Expense),
            Code::ProcessorFees => ("5100", "Processor and bank charges", Expense),
            Code::CreditLosses => ("5200", "Credit losses", Expense),
            Code::ClawbackLosses => ("5300", "Clawback losses", Expense),
            Code::ExchangeDifferences => ("5400", "Exchange differences", Expense),
            Code::NetworkBonuses => ("5500", "Network-funded bonuses", Expense),
            Code::RoundingTolerance => ("5600", "Rounding and short-pay tolerance", Expense),
            Code::ExpectedBrandDue => ("9100", "Expected from brand", Asset),
            Code::ExpectedPublisherDue => ("9200", "Expected to publisher", Liability),
            Code::ExpectedHeld => ("9210", "Expected to publisher, on hold", Liability),
            Code::ExpectedFee => ("9300", "Expected fee", Liability),
        }
    }
}
